//! Others beside us: `node_exporter` scraped each second, and collectd with processes and its files of CSV.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;

use anyhow::Context;

use super::programs::{Running, get, quiet};
use crate::tools::{self, Tool};

/// What collectd reads.
const PLUGINS: [&str; 7] = ["cpu", "memory", "disk", "df", "interface", "load", "processes"];

/// A program that runs beside us, and what is done with it each second.
pub(super) struct Peer {
    pub(super) name: &'static str,
    pub(super) process: Running,
    scraped: Option<SocketAddr>,
}

impl Peer {
    /// Does what somebody does with it each second.
    ///
    /// # Errors
    /// It does not answer.
    pub(super) fn each_second(&self) -> anyhow::Result<()> {
        match self.scraped {
            Some(address) => get(address, "/metrics").map(drop),
            None => Ok(()),
        }
    }
}

/// Starts those that are there or can be unpacked; says which are not.
pub(super) fn start(directory: &Path) -> Vec<Peer> {
    let found = |name, tool: Tool| {
        let found = tool.find_or_unpack();
        found.inspect_err(|error| eprintln!("{name} is not measured: {error:#}"))
    };
    let started = |name, peer: anyhow::Result<Peer>| {
        peer.inspect_err(|error| eprintln!("{name} is not measured: {error:#}"))
    };
    let exporter = found("node_exporter", tools::NODE_EXPORTER)
        .and_then(|program| started("node_exporter", node_exporter(&program)));
    let collectd = found("collectd", tools::COLLECTD)
        .and_then(|program| started("collectd", collectd(&program, directory)));
    exporter.into_iter().chain(collectd).collect()
}

fn node_exporter(program: &Path) -> anyhow::Result<Peer> {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut command = quiet(program);
    command.arg(format!("--web.listen-address={address}"));
    Ok(Peer {
        name: "node_exporter",
        process: Running(command.spawn()?),
        scraped: Some(address),
    })
}

fn collectd(program: &Path, directory: &Path) -> anyhow::Result<Peer> {
    // The prefix that it is installed under, or was unpacked to: …/usr/sbin/collectd.
    let prefix = program.ancestors().nth(2).context("the directory of collectd")?;
    let file = directory.join("collectd.conf");
    fs::write(&file, collectd_config(prefix, directory))?;
    let mut command = quiet(program);
    command.arg("-f").arg("-C").arg(&file);
    Ok(Peer {
        name: "collectd + processes",
        process: Running(command.spawn()?),
        scraped: None,
    })
}

fn collectd_config(prefix: &Path, directory: &Path) -> String {
    use std::fmt::Write;

    let (prefix, directory) = (prefix.display(), directory.display());
    let mut config = format!(
        "Interval 1\nBaseDir \"{directory}\"\nPIDFile \"{directory}/collectd.pid\"\nPluginDir \"{prefix}/lib/collectd\"\n\
         TypesDB \"{prefix}/share/collectd/types.db\"\nLoadPlugin csv\n<Plugin csv>\n  DataDir \"{directory}/csv\"\n</Plugin>\n"
    );
    for plugin in PLUGINS {
        // Writing to a string can't fail.
        let _ = writeln!(config, "LoadPlugin {plugin}");
    }
    config
}
