mod support;
use std::time::Duration;
use support::{Log, Stage, eventually};
use taskq::prelude::*;
#[task]
async fn work(log: State<Log>, name: &str) -> u8 {
    log.note(name);
    1
}
#[task]
async fn long(log: State<Log>) {
    log.note("long began");
    tokio::time::sleep(Duration::from_secs(100)).await;
}
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn give_back_on_rabbit() {
    support::play(Stage::rabbitmq(), |stage| async move {
        let log = Log::default();
        let app = stage.app().with_state(log.clone());
        let app = stage.start_with(app, |w| w.concurrency(1)).await;
        let began = std::time::Instant::now();
        let _slow = long.kiq().on(&app).await.unwrap();
        let quick = work.kiq("quick").on(&app).await.unwrap();
        eventually("held", || async {
            log.count("long began") == 1 && app.broker().inspect(&stage.queue).await.unwrap().ready == 0
        })
        .await;
        let app2 = stage.app().with_state(log.clone());
        let _app2 = stage.start_with(app2, |w| w.concurrency(1)).await;
        quick.wait_result().await.unwrap();
        println!("RABBIT GIVE BACK: {:?}", began.elapsed());
    })
    .await;
}
