//! Three Redis servers that share the keys.

use super::{Redis, Settings};
use crate::{Failure, Result, wait};
use std::time::Duration;

const AGREE: Duration = Duration::from_secs(30);

/// Each node's share of the key slots.
const SLOTS: [(&str, &str); 3] = [("0", "5460"), ("5461", "10921"), ("10922", "16383")];

/// A Redis Cluster of three nodes without replicas, counted from 0.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Redis>,
}

impl Cluster {
    /// Three nodes that know each other.
    ///
    /// # Errors
    /// Redis is not installed, or does not start.
    pub async fn start() -> Result<Cluster> {
        let settings = Settings::new().option("cluster-enabled", "yes").option("cluster-node-timeout", "2000");
        let mut nodes: Vec<Redis> = Vec::new();
        for (from, to) in SLOTS {
            let node = settings.clone().start().await?;
            node.command(&["CLUSTER", "ADDSLOTSRANGE", from, to]).await?;
            if let Some(first) = nodes.first() {
                first.command(&["CLUSTER", "MEET", "127.0.0.1", &node.port().to_string()]).await?;
            }
            nodes.push(node);
        }
        let cluster = Cluster { nodes };
        cluster.whole().await?;
        Ok(cluster)
    }

    /// All nodes, whether they run or not.
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// A node, counted from 0, to be killed, stopped or frozen.
    ///
    /// # Panics
    /// There is no such node.
    pub fn node_mut(&mut self, node: usize) -> &mut Redis {
        &mut self.nodes[node]
    }

    /// One URL per node.
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Redis::url).collect()
    }

    /// Waits until each node knows all, and all slots are served.
    ///
    /// # Errors
    /// It takes too long.
    pub async fn whole(&self) -> Result<()> {
        for node in &self.nodes {
            let is_whole = wait::until(AGREE, async || {
                let info = node.command(&["CLUSTER", "INFO"]).await.and_then(super::Reply::text).unwrap_or_default();
                (info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")).then_some(())
            });
            if is_whole.await.is_none() {
                return Err(Failure::new(format!("the Redis at {} does not know the whole cluster", node.address())));
            }
        }
        Ok(())
    }
}
