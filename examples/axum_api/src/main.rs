//! The API on localhost:3000, with its tasks in the same process; on RabbitMQ and Redis if `TASKQ_AMQP_URL` and
//! `TASKQ_REDIS_URL` are set (then a worker is needed beside it: `taskq worker axum_api::app`).
#![allow(clippy::print_stdout)]

use std::error::Error;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let app = axum_api::app();
    app.startup().await?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("listening on http://{}", listener.local_addr()?);
    let stop = async { drop(tokio::signal::ctrl_c().await) };
    axum::serve(listener, axum_api::routes(app.clone())).with_graceful_shutdown(stop).await?;
    app.shutdown().await?;
    Ok(())
}
