//! Three nodes on one machine.

use super::{Mapper, Node, Rabbit, Settings};
use crate::{Failure, Result, wait};
use std::{sync::Arc, time::Duration};

/// Time for nodes that can talk to agree.
const AGREE: Duration = Duration::from_secs(60);

/// Time for a node that was frozen to find the others again, if it ever does.
const REJOIN: Duration = Duration::from_secs(10);

/// A cluster of three nodes: a quorum queue has a replica on each and needs two of them.
///
/// The nodes are named `taskq1@localhost` to `taskq3@localhost`, and counted from 0. They notice a silent peer within
/// some 8 s, where the default is a minute, and a node without a majority pauses itself (`pause_minority`).
///
/// A node that is thawed after the others have given it up is parted from them: its replicas of quorum queues catch up,
/// but which queues and users there are it keeps to itself, until it is restarted. [`run_all`](Cluster::run_all) does
/// that.
///
/// ```no_run
/// # async fn example() -> taskq_faults::Result<()> {
/// use taskq_faults::rabbit::{Cluster, Settings};
///
/// let mut cluster = Cluster::start(&Settings::new()).await?;
/// // .. declare a quorum queue `work` ..
/// let leader = cluster.leader_of("work").await?;
/// cluster.node_mut(leader).kill();
/// let next = cluster.leader_of("work").await?;
/// assert_ne!(leader, next);
/// cluster.run_all().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Rabbit>,
}

impl Cluster {
    /// How many nodes there are.
    pub const SIZE: usize = 3;

    /// Three nodes that know each other and let clients in.
    ///
    /// # Errors
    /// RabbitMQ is not installed, or does not start.
    pub async fn start(settings: &Settings) -> Result<Cluster> {
        let names: Vec<String> = (1..=Self::SIZE).map(|number| format!("taskq{number}@localhost")).collect();
        let settings = names.iter().enumerate().fold(clustered(settings.clone()), |settings, (at, name)| {
            settings.conf(&format!("cluster_formation.classic_config.nodes.{}", at + 1), name)
        });
        let mapper = Arc::new(Mapper::start()?);
        let nodes = names.into_iter().map(|name| Ok(Rabbit::of(Node::new(name, &settings, mapper.clone())?)));
        let mut cluster = Cluster { nodes: nodes.collect::<Result<_>>()? };
        cluster.run_all().await?;
        Ok(cluster)
    }

    /// All nodes, whether they run or not.
    pub fn nodes(&self) -> &[Rabbit] {
        &self.nodes
    }

    /// A node, counted from 0, to be killed, stopped or frozen.
    ///
    /// # Panics
    /// There is no such node.
    pub fn node_mut(&mut self, node: usize) -> &mut Rabbit {
        &mut self.nodes[node]
    }

    /// One URL per node.
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Rabbit::url).collect()
    }

    /// Starts the nodes that do not run, lets the frozen ones go on, restarts those that the others have given up, and
    /// waits until all let clients in and each sees all.
    ///
    /// # Errors
    /// A node does not start, or they do not agree.
    pub async fn run_all(&mut self) -> Result<()> {
        self.launch_all().await?;
        if self.agree(REJOIN).await {
            return Ok(());
        }
        for node in &mut self.nodes {
            if sees(node).await.is_none_or(|seen| seen <= Self::SIZE / 2) {
                node.kill();
            }
        }
        self.launch_all().await?;
        match self.agree(AGREE).await {
            true => Ok(()),
            false => Err(Failure::new("the nodes do not see each other")),
        }
    }

    async fn launch_all(&mut self) -> Result<()> {
        for node in &mut self.nodes {
            match node.is_running() {
                true => node.thaw()?,
                false => node.launch()?,
            }
        }
        for node in &mut self.nodes {
            node.ready().await?;
        }
        Ok(())
    }

    async fn agree(&self, patience: Duration) -> bool {
        let agreed = wait::until(patience, async || {
            for node in &self.nodes {
                if sees(node).await != Some(Self::SIZE) {
                    return None;
                }
            }
            Some(())
        });
        agreed.await.is_some()
    }

    /// The node that leads a quorum queue of the virtual host `/`, as soon as there is one.
    ///
    /// # Errors
    /// There is no such queue, or no leader: fewer than two of its nodes run.
    pub async fn leader_of(&mut self, queue: &str) -> Result<usize> {
        let expression = leader_expression(queue);
        let found = wait::until(AGREE, async || {
            for at in 0..self.nodes.len() {
                // A member that has not yet noticed the end of a leader names it still.
                if let Some(leader) = self.leader_by(at, &expression).await
                    && self.nodes[leader].is_running()
                {
                    return Some(leader);
                }
            }
            None
        });
        found.await.ok_or_else(|| Failure::new(format!("the queue `{queue}` has no leader")))
    }

    async fn leader_by(&mut self, at: usize, expression: &str) -> Option<usize> {
        if !self.nodes[at].is_running() {
            return None;
        }
        // A frozen node does not answer.
        let asked = tokio::time::timeout(Duration::from_secs(5), self.nodes[at].eval(expression));
        let leader = asked.await.ok()?.ok()?;
        self.nodes.iter().position(|node| node.name() == leader.trim_matches('\''))
    }
}

/// How many nodes of the cluster run, as this one sees it.
async fn sees(node: &Rabbit) -> Option<usize> {
    // A node may hang on one that does.
    let asked = tokio::time::timeout(Duration::from_secs(5), node.eval("length(rabbit_nodes:all_running())"));
    asked.await.ok()?.ok()?.parse().ok()
}

/// Small nodes that notice soon when another one is gone.
fn clustered(settings: Settings) -> Settings {
    settings
        .conf("cluster_formation.peer_discovery_backend", "classic_config")
        .conf("cluster_formation.randomized_startup_delay_range.min", "0")
        .conf("cluster_formation.randomized_startup_delay_range.max", "1")
        .conf("cluster_partition_handling", "pause_minority")
        .erlang("+S 1:1 -kernel net_ticktime 8 -aten poll_interval 1000")
}

/// Asks a node's own replica, which answers while another one hangs.
fn leader_expression(queue: &str) -> String {
    format!(
        "begin {{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, <<\"{queue}\">>)), \
         {{Name, _}} = amqqueue:get_pid(Q), \
         {{ok, _, {{_, Leader}}}} = ra:members({{Name, node()}}, 2000), Leader end"
    )
}
