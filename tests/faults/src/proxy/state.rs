//! What holds until it is set anew.

use std::time::Duration;

/// Which connections a fault hits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// All of them.
    All,
    /// Those of AMQP whose client gives itself a name that ends in `/pub`.
    Publishers,
    /// Those of AMQP whose client gives itself a name that ends in `/con`.
    Consumers,
    /// Those of AMQP whose client gives itself a name that contains this.
    Named(String),
}

impl Who {
    /// A client has no name until it has said who it is.
    pub(super) fn includes(&self, name: Option<&str>) -> bool {
        match self {
            Who::All => true,
            Who::Publishers => name.is_some_and(|name| name.ends_with("/pub")),
            Who::Consumers => name.is_some_and(|name| name.ends_with("/con")),
            Who::Named(part) => name.is_some_and(|name| name.contains(part)),
        }
    }
}

/// One of the two directions of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// What the client says.
    ToServer,
    /// What the server says.
    ToClient,
}

impl Way {
    pub(super) fn back(self) -> Way {
        match self {
            Way::ToServer => Way::ToClient,
            Way::ToClient => Way::ToServer,
        }
    }

    pub(super) fn index(self) -> usize {
        match self {
            Way::ToServer => 0,
            Way::ToClient => 1,
        }
    }
}

/// What becomes of bytes one way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Line {
    /// They pass.
    #[default]
    Pass,
    /// They pass, each this much later.
    Delay(Duration),
    /// They pass, so many a second.
    Throttle(u64),
    /// They wait in the sockets, as when the network is parted: nothing arrives, nobody is told, and what was said arrives
    /// when the line is healed.
    Stall,
    /// They are read and lost, as by a server that is there and does nothing. The line is of no use afterwards.
    Swallow,
}

/// What becomes of a connection that is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Door {
    /// It is led to the server.
    #[default]
    Open,
    /// It is accepted and ended at once.
    Drop,
    /// It is accepted, and nothing is ever said or read on it.
    Silent,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) door: Door,
    /// The last one that fits holds.
    lines: Vec<(Who, Way, Line)>,
}

impl State {
    pub(super) fn set(&mut self, who: Who, way: Way, line: Line) {
        self.lines.retain(|(other, its_way, _)| *its_way != way || (who != Who::All && *other != who));
        self.lines.push((who, way, line));
    }

    pub(super) fn line(&self, name: Option<&str>, way: Way) -> Line {
        let fits = |(who, its_way, _): &&(Who, Way, Line)| *its_way == way && who.includes(name);
        self.lines.iter().rev().find(fits).map_or(Line::Pass, |(_, _, line)| *line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_about_a_line_holds() {
        let (publisher, consumer) = (Some("taskq/app/host/1/pub"), Some("taskq/app/host/1/con"));
        let mut state = State::default();
        state.set(Who::Publishers, Way::ToServer, Line::Stall);
        assert_eq!(state.line(publisher, Way::ToServer), Line::Stall);
        assert_eq!(state.line(publisher, Way::ToClient), Line::Pass);
        assert_eq!(state.line(consumer, Way::ToServer), Line::Pass);
        assert_eq!(state.line(None, Way::ToServer), Line::Pass);
        state.set(Who::All, Way::ToServer, Line::Swallow);
        assert_eq!(state.line(publisher, Way::ToServer), Line::Swallow);
        state.set(Who::Named("app/host".into()), Way::ToServer, Line::Pass);
        assert_eq!(state.line(consumer, Way::ToServer), Line::Pass);
        assert_eq!(state.line(None, Way::ToServer), Line::Swallow);
    }
}
