//! Where clients come in.

use super::{
    Door, connection,
    shared::{Protocol, Shared},
    target::Target,
};
use crate::{Failure, Result};
use std::{io, net, sync::Arc, thread, time::Duration};
use tokio::{net::TcpListener, runtime, sync::oneshot, time::sleep};

/// Listens, and serves on a thread of its own until the second value is dropped.
pub(super) fn open(target: Target, protocol: Protocol) -> Result<(Arc<Shared>, oneshot::Sender<()>)> {
    let failed = |error: io::Error| Failure::new(format!("no proxy: {error}"));
    let listener = net::TcpListener::bind("127.0.0.1:0").map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let shared = Arc::new(Shared::new(target, protocol, listener.local_addr().map_err(failed)?));
    let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let listener = {
        let _inside = runtime.enter();
        TcpListener::from_std(listener).map_err(failed)?
    };
    let (alive, gone) = oneshot::channel();
    let serving = serve(shared.clone(), listener);
    let run = move || {
        runtime.block_on(async {
            tokio::select! {
                () = serving => {}
                _ = gone => {}
            }
        });
    };
    thread::Builder::new().name("taskq-fault-proxy".into()).spawn(run).map_err(failed)?;
    Ok((shared, alive))
}

async fn serve(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            // Too many files are open; there will be fewer.
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        shared.counters.accepted();
        let door = shared.state.borrow().door;
        match door {
            Door::Open => drop(tokio::spawn(connection::lead(shared.clone(), client))),
            Door::Drop => drop(client),
            Door::Silent => drop(tokio::spawn(connection::keep_silent(shared.clone(), client))),
        }
    }
}
