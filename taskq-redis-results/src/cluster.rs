//! What is different with a cluster: how it is connected to, and how its shards push.

use crate::{
    connection::{CONNECT_LIMIT, RESPONSE_LIMIT, unusable},
    trouble::Trouble,
};
use redis::{
    ConnectionInfo, ProtocolVersion, PushInfo, PushKind, Value,
    cluster::{ClusterClient, ClusterClientBuilder},
    cluster_async::ClusterConnection,
    io::tcp::TcpSettings,
};
use tokio::sync::mpsc;

/// A connection for commands.
pub(crate) async fn connect(nodes: &[ConnectionInfo]) -> Result<ClusterConnection, Trouble> {
    open(builder(nodes).build().map_err(unusable)?).await
}

async fn open(client: ClusterClient) -> Result<ClusterConnection, Trouble> {
    match client.get_async_connection().await.map_err(Trouble::from) {
        Err(Trouble::Failed(error)) => Err(Trouble::Away(error)),
        opened => opened,
    }
}

fn builder(nodes: &[ConnectionInfo]) -> ClusterClientBuilder {
    ClusterClientBuilder::new(nodes.to_vec())
        .connection_timeout(CONNECT_LIMIT)
        .response_timeout(RESPONSE_LIMIT)
        .tcp_settings(TcpSettings::default().set_nodelay(true))
}

/// The subscription to one channel, in the shard that the channel belongs to.
pub(crate) struct ShardSubscription {
    connection: ClusterConnection,
    channel: String,
    pushes: mpsc::UnboundedReceiver<PushInfo>,
}

impl ShardSubscription {
    pub(crate) async fn open(nodes: &[ConnectionInfo], channel: String) -> Result<Self, Trouble> {
        let (sender, pushes) = mpsc::unbounded_channel();
        let nodes: Vec<ConnectionInfo> = nodes.iter().cloned().map(with_pushes).collect();
        let client = builder(&nodes).use_protocol(ProtocolVersion::RESP3).push_sender(sender).build();
        let mut connection = open(client.map_err(unusable)?).await?;
        connection.ssubscribe(&channel).await?;
        Ok(ShardSubscription { connection, channel, pushes })
    }

    /// The next message; `None` when the subscription may have been lost, with any node or by a move of its slot.
    pub(crate) async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            let push = self.pushes.recv().await?;
            match push.kind {
                PushKind::SMessage => {
                    if let Some(Value::BulkString(message)) = push.data.into_iter().nth(1) {
                        return Some(message);
                    }
                }
                PushKind::Disconnection | PushKind::SUnsubscribe => return None,
                _ => {}
            }
        }
    }

    /// Subscribing again changes nothing, and is answered by the node that it is about.
    pub(crate) async fn confirm(&mut self) -> Result<(), Trouble> {
        Ok(self.connection.ssubscribe(&self.channel).await?)
    }
}

fn with_pushes(node: ConnectionInfo) -> ConnectionInfo {
    let settings = node.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    node.set_redis_settings(settings)
}
