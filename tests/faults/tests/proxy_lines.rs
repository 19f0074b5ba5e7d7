//! Lines and doors: what becomes of bytes that nobody understands.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::{
    io::ErrorKind,
    time::{Duration, Instant},
};
use support::{
    fake::{Ends, Fake, hears, rest, says},
    hangs,
};
use taskq_faults::{
    proxy::{Counters, Door, Line, Way, Who},
    wait::{ended, eventually},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn both_ways_pass(Ends { client, server }: &mut Ends) {
    says(client, b"question").await;
    hears(server, b"question").await;
    says(server, b"answer").await;
    hears(client, b"answer").await;
}

#[tokio::test]
async fn what_is_said_passes_and_is_counted_and_so_does_the_end() {
    let fake = Fake::opaque().await;
    let mut ends = fake.connect().await;
    both_ways_pass(&mut ends).await;
    let wanted = Counters { accepted: 1, bytes_to_server: 8, bytes_to_client: 6, frames_swallowed: 0 };
    eventually("all is counted", async || fake.proxy.counters() == wanted).await;
    assert_eq!(fake.proxy.open(Who::All), 1);
    ends.client.shutdown().await.unwrap();
    assert_eq!(rest(&mut ends.server).await.unwrap(), b"");
    says(&mut ends.server, b"last words").await;
    drop(ends.server);
    assert_eq!(rest(&mut ends.client).await.unwrap(), b"last words");
    eventually("it is no longer open", async || fake.proxy.open(Who::All) == 0).await;
}

#[tokio::test]
async fn much_passes_unchanged() {
    let fake = Fake::opaque().await;
    let Ends { mut client, mut server } = fake.connect().await;
    let much: Vec<u8> = (0..20_000_000_u32).map(|at| (at % 251) as u8).collect();
    let sent = much.clone();
    let sending = tokio::spawn(async move {
        says(&mut client, &sent).await;
        client
    });
    hears(&mut server, &much).await;
    sending.await.unwrap();
}

#[tokio::test]
async fn a_stalled_way_holds_everything_until_it_is_healed_and_the_other_way_goes_on() {
    for (way, stalls_server) in [(Way::ToServer, true), (Way::ToClient, false)] {
        let fake = Fake::opaque().await;
        let mut ends = fake.connect().await;
        both_ways_pass(&mut ends).await;
        fake.proxy.line(Who::All, way, Line::Stall);
        let (from, to) =
            if stalls_server { (&mut ends.client, &mut ends.server) } else { (&mut ends.server, &mut ends.client) };
        says(from, b"stalled").await;
        says(to, b"passes").await;
        hears(from, b"passes").await;
        assert!(hangs(to.read(&mut [0; 8])).await);
        from.shutdown().await.unwrap();
        assert!(hangs(to.read(&mut [0; 8])).await, "nobody is told of the end either");
        fake.proxy.heal();
        assert_eq!(rest(to).await.unwrap(), b"stalled");
    }
}

#[tokio::test]
async fn a_stall_holds_for_connections_that_are_made_later() {
    let fake = Fake::opaque().await;
    fake.proxy.lines(Who::All, Line::Stall);
    let Ends { mut client, mut server } = fake.connect().await;
    says(&mut client, b"hello").await;
    assert!(hangs(server.read(&mut [0; 8])).await);
    fake.proxy.lines(Who::All, Line::Pass);
    hears(&mut server, b"hello").await;
}

#[tokio::test]
async fn what_is_swallowed_is_lost_and_the_line_is_reset_when_it_is_healed() {
    let fake = Fake::opaque().await;
    let mut ends = fake.connect().await;
    fake.proxy.line(Who::All, Way::ToServer, Line::Swallow);
    let much = vec![7; 5_000_000];
    ended(ends.client.write_all(&much)).await.unwrap();
    assert!(hangs(ends.server.read(&mut [0; 8])).await);
    says(&mut ends.server, b"passes").await;
    hears(&mut ends.client, b"passes").await;
    fake.proxy.heal();
    assert_eq!(rest(&mut ends.server).await, Err(ErrorKind::ConnectionReset));
    assert_eq!(rest(&mut ends.client).await, Err(ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn a_delay_holds_up_each_byte_and_not_one_after_the_other() {
    let fake = Fake::opaque().await;
    let Ends { mut client, mut server } = fake.connect().await;
    let delay = Duration::from_millis(500);
    fake.proxy.line(Who::All, Way::ToServer, Line::Delay(delay));
    let began = Instant::now();
    for _ in 0..20 {
        says(&mut client, b"x").await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let said = began.elapsed();
    hears(&mut server, b"x").await;
    assert!(began.elapsed() >= delay);
    hears(&mut server, &[b'x'; 19]).await;
    assert!(began.elapsed() < said + delay * 10, "each waited for the one before: {:?}", began.elapsed());
    says(&mut server, b"at once").await;
    hears(&mut client, b"at once").await;
}

#[tokio::test]
async fn a_throttled_way_passes_so_much_a_second() {
    let fake = Fake::opaque().await;
    let Ends { mut client, mut server } = fake.connect().await;
    fake.proxy.line(Who::All, Way::ToServer, Line::Throttle(10_000));
    let began = Instant::now();
    says(&mut client, &[1; 10_000]).await;
    hears(&mut server, &[1; 10_000]).await;
    // The last portion of twenty has nothing to wait for.
    assert!(began.elapsed() >= Duration::from_millis(900), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_cut_ends_both_sides_and_spares_those_to_come() {
    let fake = Fake::opaque().await;
    let (mut first, mut second) = (fake.connect().await, fake.connect().await);
    assert_eq!(fake.proxy.cut(Who::All), 2);
    for ends in [&mut first, &mut second] {
        assert_eq!(rest(&mut ends.client).await.unwrap(), b"");
        assert_eq!(rest(&mut ends.server).await.unwrap(), b"");
    }
    both_ways_pass(&mut fake.connect().await).await;
    assert_eq!(fake.proxy.cut(Who::Publishers), 0);
}

#[tokio::test]
async fn a_reset_is_one_for_both_sides() {
    let fake = Fake::opaque().await;
    let mut ends = fake.connect().await;
    // Before that the proxy may not know yet that the server has taken the connection.
    both_ways_pass(&mut ends).await;
    assert_eq!(fake.proxy.reset(Who::All), 1);
    assert_eq!(rest(&mut ends.client).await, Err(ErrorKind::ConnectionReset));
    assert_eq!(rest(&mut ends.server).await, Err(ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn a_stalled_line_can_be_cut() {
    let fake = Fake::opaque().await;
    let mut ends = fake.connect().await;
    fake.proxy.lines(Who::All, Line::Stall);
    assert_eq!(fake.proxy.reset(Who::All), 1);
    assert_eq!(rest(&mut ends.client).await, Err(ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn a_half_closed_line_loses_one_way_alone() {
    let fake = Fake::opaque().await;
    let mut ends = fake.connect().await;
    both_ways_pass(&mut ends).await;
    assert_eq!(fake.proxy.half_close(Who::All, Way::ToServer), 1);
    assert_eq!(rest(&mut ends.server).await.unwrap(), b"");
    says(&mut ends.client, b"lost").await;
    says(&mut ends.server, b"passes").await;
    hears(&mut ends.client, b"passes").await;
    assert!(hangs(ends.client.read(&mut [0; 8])).await, "the client is not told");
}

#[tokio::test]
async fn after_so_many_bytes_the_line_is_cut() {
    let fake = Fake::opaque().await;
    let mut ends = fake.connect().await;
    both_ways_pass(&mut ends).await;
    assert_eq!(fake.proxy.cut_after(Who::All, Way::ToServer, 6), 1);
    says(&mut ends.client, b"one").await;
    hears(&mut ends.server, b"one").await;
    says(&mut ends.client, b"another").await;
    assert_eq!(rest(&mut ends.server).await.unwrap(), b"ano");
    assert!(rest(&mut ends.client).await.is_ok_and(|rest| rest.is_empty()));
}

#[tokio::test]
async fn a_door_drops_clients_or_says_nothing_to_them() {
    let fake = Fake::opaque().await;
    let mut before = fake.connect().await;
    fake.proxy.door(Door::Drop);
    assert_eq!(rest(&mut fake.client().await).await.unwrap(), b"");
    fake.proxy.door(Door::Silent);
    let mut silent = fake.client().await;
    says(&mut silent, b"hello?").await;
    assert!(hangs(silent.read(&mut [0; 8])).await);
    both_ways_pass(&mut before).await;
    fake.proxy.heal();
    both_ways_pass(&mut fake.connect().await).await;
    assert!(hangs(silent.read(&mut [0; 8])).await, "it is not forgotten");
    assert_eq!(fake.proxy.cut(Who::All), 2);
    assert!(rest(&mut silent).await.is_err() || rest(&mut silent).await.is_ok_and(|rest| rest.is_empty()));
    assert_eq!(fake.proxy.counters().accepted, 4);
}

#[tokio::test]
async fn a_client_of_a_server_that_is_away_is_let_go() {
    let fake = Fake::opaque().await;
    let proxy = fake.proxy.clone();
    drop(fake);
    let mut client = tokio::net::TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(rest(&mut client).await.unwrap(), b"");
}

#[tokio::test]
async fn a_request_is_passed_on_and_its_reply_is_lost_once() {
    let fake = Fake::opaque().await;
    let mut ends = fake.connect().await;
    let lost = fake.proxy.lose_reply("SET");
    both_ways_pass(&mut ends).await;
    says(&mut ends.client, b"SET one 1\r\n").await;
    hears(&mut ends.server, b"SET one 1\r\n").await;
    assert!(!lost.has_happened());
    says(&mut ends.server, b"+OK\r\n").await;
    assert_eq!(rest(&mut ends.client).await.unwrap(), b"");
    assert!(lost.has_happened());
    let mut ends = fake.connect().await;
    says(&mut ends.client, b"SET one 1\r\n").await;
    hears(&mut ends.server, b"SET one 1\r\n").await;
    says(&mut ends.server, b"+OK\r\n").await;
    hears(&mut ends.client, b"+OK\r\n").await;
}

#[tokio::test]
async fn a_proxy_ends_with_its_last_handle() {
    let Fake { proxy, .. } = Fake::opaque().await;
    let (address, clone) = (proxy.address(), proxy.clone());
    drop(proxy);
    drop(tokio::net::TcpStream::connect(address).await.unwrap());
    drop(clone);
    eventually("nobody listens", async || tokio::net::TcpStream::connect(address).await.is_err()).await;
}

#[test]
fn a_proxy_goes_on_while_the_runtime_of_its_test_is_blocked() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let fake = runtime.block_on(Fake::opaque());
    let mut client = std::net::TcpStream::connect(fake.proxy.address()).unwrap();
    std::io::Write::write_all(&mut client, b"hello").unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while fake.proxy.counters().bytes_to_server < 5 {
        assert!(Instant::now() < deadline, "nothing passed");
        std::thread::yield_now();
    }
}
