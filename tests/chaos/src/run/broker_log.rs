//! What the brokers wrote down: which connection ended when, which the process at its other end may learn much later.

use crate::ledger::Event;
use std::collections::BTreeMap;

/// What a log tells, in microseconds since 1970.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Told {
    pub(crate) ended: Vec<(u64, Event)>,
    /// Lines about acks of deliveries that the broker does not know.
    pub(crate) unknown_acks: Vec<String>,
}

/// Reads the log of one node, which was killed at these times.
pub(crate) fn read(text: &str, kills: &[u64]) -> Told {
    let mut told = Told::default();
    let mut open = BTreeMap::new();
    for line in text.lines() {
        if line.contains("unknown delivery tag") {
            told.unknown_acks.push(line.to_owned());
        }
        let Some(at) = line.split(' ').next().and_then(|time| time.parse::<u64>().ok()) else { continue };
        if line.contains("Starting RabbitMQ") {
            // What was open when the node was killed has no line of its own.
            let killed = kills.iter().copied().filter(|kill| *kill < at).max().unwrap_or(at);
            let connections = std::mem::take(&mut open).into_values();
            told.ended.extend(connections.map(|name| (killed, ended(name, "the node was killed"))));
        }
        let (Some(connection), Some(name)) = (pid(line), consumer(line)) else { continue };
        if line.contains("has a client-provided name") {
            open.insert(connection, name);
        } else if line.contains("closing AMQP connection") || line.contains("Error on AMQP connection") {
            open.remove(&connection);
            told.ended.push((at, ended(name, "the broker closed it")));
        }
    }
    told
}

fn ended(name: String, reason: &str) -> Event {
    Event::ConnectionEnded { name, reason: reason.to_owned() }
}

/// Erlang's name of the connection's process.
fn pid(line: &str) -> Option<String> {
    let start = line.find("connection <")? + "connection ".len();
    let end = line[start..].find('>')? + start;
    Some(line[start..=end].to_owned())
}

/// The process whose consumers' connection a line is about: `taskq/NAME/host/pid/con`.
fn consumer(line: &str) -> Option<String> {
    let start = line.rfind("taskq/")?;
    let name = line[start..].split([',', ')', ' ']).next()?;
    let mut parts = name.split('/').skip(1);
    let process = parts.next()?.to_owned();
    (parts.nth(2)? == "con").then_some(process)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_end_by_a_line_of_their_own_or_with_their_node() {
        let text = "\
1 [info] <0.1.0>  Starting RabbitMQ 3.10.8 on Erlang 25
10 [info] <0.7.0> connection <0.7.0> (127.0.0.1:1 -> 127.0.0.1:2) has a client-provided name: taskq/worker-0.1/vm/99/con
11 [info] <0.8.0> connection <0.8.0> (127.0.0.1:3 -> 127.0.0.1:2) has a client-provided name: taskq/worker-1.1/vm/98/con
12 [info] <0.9.0> connection <0.9.0> (127.0.0.1:4 -> 127.0.0.1:2) has a client-provided name: taskq/worker-1.1/vm/98/pub
20 [error] <0.7.0> closing AMQP connection <0.7.0> (127.0.0.1:1 -> 127.0.0.1:2 - taskq/worker-0.1/vm/99/con):
20 [error] <0.7.0> missed heartbeats from client, timeout: 7s
22 [error] <0.8.0> Error on AMQP connection <0.8.0> (127.0.0.1:3 -> 127.0.0.1:2 - taskq/worker-1.1/vm/98/con, vhost: '/', user: 'guest', state: running), channel 3:
21 [error] <0.8.1> operation basic.ack caused a channel exception precondition_failed: unknown delivery tag 4
50 [info] <0.1.0>  Starting RabbitMQ 3.10.8 on Erlang 25
";
        let told = read(text, &[5, 40]);
        let names = told.ended.iter().map(|(at, event)| match event {
            Event::ConnectionEnded { name, .. } => (*at, name.as_str()),
            other => panic!("{other:?}"),
        });
        assert_eq!(names.collect::<Vec<_>>(), [(20, "worker-0.1"), (22, "worker-1.1")]);
        assert_eq!(told.unknown_acks.len(), 1);
    }
}
