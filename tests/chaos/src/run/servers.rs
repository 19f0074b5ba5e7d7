//! The private servers of a run.

use std::{path::PathBuf, time::Duration};
use taskq_faults::{
    Result,
    rabbit::{self, Cluster, Rabbit},
    redis::{self, Redis},
};
use tokio::sync::Mutex;

/// RabbitMQ, alone or three nodes, and Redis. Each node has a lock, so that two faults do not spoil one at a time.
#[derive(Debug)]
pub(crate) struct Servers {
    pub(crate) brokers: Mutex<Brokers>,
    pub(crate) redis: Mutex<Redis>,
    pub(crate) broker_urls: Vec<String>,
    pub(crate) redis_url: String,
}

#[derive(Debug)]
pub(crate) enum Brokers {
    Single(Box<Rabbit>),
    Cluster(Box<Cluster>),
}

impl Servers {
    pub(crate) async fn start(cluster: bool) -> Result<Servers> {
        let settings = rabbit::Settings::new()
            .conf("log.file.formatter.time_format", "epoch_usecs")
            // What a level of delays could not hand on is tried again after this time; the default is 180 s.
            .dead_letter_timeout(Duration::from_secs(15));
        let brokers = match cluster {
            true => Brokers::Cluster(Box::new(Cluster::start(&settings).await?)),
            false => Brokers::Single(Box::new(settings.start().await?)),
        };
        // Whatever was answered survives a kill.
        let redis = redis::Settings::new().option("appendonly", "yes").option("appendfsync", "always").start().await?;
        let nodes = brokers.nodes();
        Ok(Servers {
            broker_urls: nodes.iter().map(|node| node.url()).collect(),
            redis_url: redis.url(),
            brokers: Mutex::new(brokers),
            redis: Mutex::new(redis),
        })
    }

    /// The names and logs of all nodes.
    pub(crate) async fn logs(&self) -> Vec<(String, PathBuf)> {
        self.brokers.lock().await.nodes().iter().map(|node| (node.name().to_owned(), node.log())).collect()
    }

    /// What the processes that hand dead letters and delayed messages on are at, on each node: for people.
    pub(crate) async fn handing_on(&self) -> String {
        const STATES: &str = "[catch sys:get_state(Pid, 2000) || {_, Pid, _, _} <- supervisor:which_children(rabbit_fifo_dlx_sup), is_pid(Pid)]";
        let mut states = String::new();
        for node in self.brokers.lock().await.nodes() {
            let state = tokio::time::timeout(Duration::from_secs(60), node.eval(STATES)).await;
            states += &format!("{}: {state:?}\n", node.name());
        }
        states
    }

    /// Names, ready and unacknowledged messages of all queues; none while the node does not say.
    pub(crate) async fn depths(&self) -> Vec<Depth> {
        let brokers = self.brokers.lock().await;
        let columns = ["list_queues", "name", "messages_ready", "messages_unacknowledged", "messages"];
        let asked = tokio::time::timeout(Duration::from_secs(60), brokers.first().ctl(&columns)).await;
        let text = asked.ok().and_then(Result::ok).unwrap_or_default();
        text.lines().filter_map(Depth::parse).collect()
    }
}

impl Brokers {
    pub(crate) fn nodes(&self) -> Vec<&Rabbit> {
        match self {
            Brokers::Single(rabbit) => vec![rabbit],
            Brokers::Cluster(cluster) => cluster.nodes().iter().collect(),
        }
    }

    pub(crate) fn first(&self) -> &Rabbit {
        match self {
            Brokers::Single(rabbit) => rabbit,
            Brokers::Cluster(cluster) => &cluster.nodes()[0],
        }
    }

    pub(crate) fn node_mut(&mut self, node: usize) -> &mut Rabbit {
        match self {
            Brokers::Single(rabbit) => rabbit,
            Brokers::Cluster(cluster) => cluster.node_mut(node),
        }
    }

    /// Restarts the nodes that hand on no dead letters and no delayed messages any more, and names them.
    ///
    /// In RabbitMQ 3.10 the supervisor of what does so (`rabbit_fifo_dlx_sup`) may end for good when a quorum queue loses its
    /// leader while it is asked for letters. Nothing but a restart of the node begins it again, and no client can see it.
    pub(crate) async fn restart_mute(&mut self) -> Result<Vec<String>> {
        let mut restarted = Vec::new();
        for number in 0..self.nodes().len() {
            let node = self.node_mut(number);
            if node.eval("whereis(rabbit_fifo_dlx_sup)").await? == "undefined" {
                node.stop().await?;
                node.run().await?;
                restarted.push(node.name().to_owned());
            }
        }
        Ok(restarted)
    }

    /// All nodes run and none is frozen.
    pub(crate) async fn heal(&mut self) -> Result<()> {
        match self {
            Brokers::Single(rabbit) => match rabbit.is_running() {
                true => rabbit.thaw(),
                false => rabbit.run().await,
            },
            Brokers::Cluster(cluster) => cluster.run_all().await,
        }
    }
}

/// What a queue holds.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Depth {
    pub(crate) queue: String,
    pub(crate) ready: u64,
    pub(crate) unacked: u64,
    /// On their way to the next queue: neither ready nor unacknowledged.
    pub(crate) leaving: u64,
}

impl Depth {
    fn parse(line: &str) -> Option<Depth> {
        let mut columns = line.split('\t');
        let queue = columns.next()?.to_owned();
        let mut number = || columns.next().and_then(|column| column.trim().parse::<u64>().ok());
        let (ready, unacked, all) = (number()?, number()?, number()?);
        Some(Depth { queue, ready, unacked, leaving: all.saturating_sub(ready + unacked) })
    }

    /// Messages stay in dead letters, and nowhere else.
    pub(crate) fn is_drained(&self) -> bool {
        self.unacked == 0 && self.leaving == 0 && (self.ready == 0 || self.queue.ends_with(".dead"))
    }
}
