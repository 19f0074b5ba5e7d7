//! What the brokers wrote down: which connection ended when, which the process at its other end may learn much later.

use crate::ledger::{CUT_OFF, Event};
use std::collections::BTreeMap;

/// What a log tells, in microseconds since 1970.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Told {
    /// The consumers' connections.
    connections: Vec<Connection>,
    /// When the node saw which other one go down.
    downs: Vec<(u64, String)>,
    /// Lines about acks of deliveries that the broker does not know.
    pub(crate) unknown_acks: Vec<String>,
}

#[derive(Debug, PartialEq)]
struct Connection {
    process: String,
    from: u64,
    ended: Option<(u64, &'static str)>,
}

/// Reads the log of one node, which was killed at these times.
pub(crate) fn read(text: &str, kills: &[u64]) -> Told {
    let mut told = Told::default();
    let mut open: BTreeMap<String, usize> = BTreeMap::new();
    for line in text.lines() {
        if line.contains("unknown delivery tag") {
            told.unknown_acks.push(line.to_owned());
        }
        let Some(at) = line.split(' ').next().and_then(|time| time.parse::<u64>().ok()) else { continue };
        if line.contains("Starting RabbitMQ") {
            // What was open when the node was killed has no line of its own.
            for number in std::mem::take(&mut open).into_values() {
                let connection = &mut told.connections[number];
                let killed = kills.iter().copied().filter(|kill| (connection.from..at).contains(kill)).min();
                connection.ended = Some((killed.unwrap_or(at), "the node was killed"));
            }
        }
        if let Some(node) = line.split_once("rabbit on node ").and_then(|(_, rest)| rest.strip_suffix(" down")) {
            told.downs.push((at, node.to_owned()));
        }
        let (Some(connection), Some(process)) = (pid(line), consumer(line)) else { continue };
        if line.contains("has a client-provided name") {
            open.insert(connection, told.connections.len());
            told.connections.push(Connection { process, from: at, ended: None });
        } else if is_end(line)
            && let Some(number) = open.remove(&connection)
        {
            told.connections[number].ended = Some((at, "the broker closed it"));
        }
    }
    told
}

fn is_end(line: &str) -> bool {
    line.contains("closing AMQP connection") || line.contains("Error on AMQP connection")
}

/// When connections ended, as the brokers see it: by a line of their own, with their node, or because their node was down
/// to another one, which gives what they held to others. `logs` are by the names of their nodes.
pub(crate) fn ends(logs: &BTreeMap<String, Told>) -> Vec<(u64, Event)> {
    let event =
        |process: &str, reason: &str| Event::ConnectionEnded { name: process.to_owned(), reason: reason.to_owned() };
    let own = logs.values().flat_map(|told| &told.connections);
    let mut ends: Vec<_> = own.filter_map(|of| of.ended.map(|(at, reason)| (at, event(&of.process, reason)))).collect();
    for (at, node) in logs.values().flat_map(|told| &told.downs) {
        let held = logs.get(node).map(|told| told.connections.as_slice()).unwrap_or_default();
        let held = held.iter().filter(|of| of.from <= *at && of.ended.is_none_or(|(ended, _)| ended > *at));
        ends.extend(held.map(|of| (*at, event(&of.process, CUT_OFF))));
    }
    ends
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
        assert_eq!(told.unknown_acks.len(), 1);
        assert_eq!(ended(&BTreeMap::from([("one".into(), told)])), [(20, "worker-0.1"), (22, "worker-1.1")]);
    }

    fn ended(logs: &BTreeMap<String, Told>) -> Vec<(u64, &'static str)> {
        let name = |event| match event {
            Event::ConnectionEnded { name, .. } => &*name.leak(),
            other => panic!("{other:?}"),
        };
        ends(logs).into_iter().map(|(at, event)| (at, name(event))).collect()
    }

    #[test]
    fn connections_do_not_end_before_they_begin_when_their_node_is_started_again_without_having_been_killed() {
        let text = "\
1 [info] <0.1.0>  Starting RabbitMQ 3.10.8 on Erlang 25
10 [info] <0.7.0> connection <0.7.0> (127.0.0.1:1 -> 127.0.0.1:2) has a client-provided name: taskq/worker-0.1/vm/99/con
50 [info] <0.1.0>  Starting RabbitMQ 3.10.8 on Erlang 25
";
        assert_eq!(ended(&BTreeMap::from([("one".into(), read(text, &[5]))])), [(50, "worker-0.1")]);
        assert_eq!(ended(&BTreeMap::from([("one".into(), read(text, &[5, 20, 30]))])), [(20, "worker-0.1")]);
    }

    #[test]
    fn connections_of_a_node_that_is_down_to_another_one_have_ended() {
        let cut_off = "\
10 [info] <0.7.0> connection <0.7.0> (127.0.0.1:1 -> 127.0.0.1:2) has a client-provided name: taskq/worker-0.1/vm/99/con
30 [info] <0.7.1> connection <0.7.1> (127.0.0.1:1 -> 127.0.0.1:2) has a client-provided name: taskq/worker-1.1/vm/99/con
";
        let other = "20 [info] <0.4.0> rabbit on node two@localhost down\n";
        let logs = [("one@localhost", read(other, &[])), ("two@localhost", read(cut_off, &[]))];
        assert_eq!(ended(&logs.into_iter().map(|(name, told)| (name.into(), told)).collect()), [(20, "worker-0.1")]);
    }
}
