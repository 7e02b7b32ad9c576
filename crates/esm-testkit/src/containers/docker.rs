//! Servers in Docker's containers.

use esm_core::clock::Environment;
use testcontainers::core::ContainerPort;
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerRequest, Image, ImageExt as _};
use tokio::net::TcpStream;

use super::keeper::Keeper;
use super::program;
use super::server::{Server, ready};

/// Returns whether Docker responds and its program, which removes the containers at the end, is
/// there.
pub(super) fn answers() -> Result<(), String> {
    let arguments = ["version", "--format", "{{.Server.Version}}"];
    tokio::task::block_in_place(|| program::answers("docker", &arguments))
}

/// Starts a server in a container, which is removed when the anchor ends.
pub(super) async fn contained<S: Server>(keeper: &Keeper) -> Result<String, String> {
    let name = format!("esm-test-{}-{}", S::NAME, Environment::system().uuid_v4());
    // before the container exists, so that a kill never leaves one behind
    keeper.remove_container_in_the_end(&name)?;
    let address = S::container(&name).await?;
    ready::<S>(&address, || Ok(())).await?;
    Ok(address)
}

/// Starts a container of this name, and returns the address of this port.
pub(super) async fn start<I: Image>(
    image: impl Into<ContainerRequest<I>>,
    name: &str,
    port: ContainerPort,
) -> Result<String, String> {
    let request = image.into().with_container_name(name);
    let started = request.start().await;
    let container = started.map_err(|error| error.to_string())?;
    let reached = async {
        let host = container.get_host().await?.to_string();
        Ok((host, container.get_host_port_ipv4(port).await?))
    };
    let (host, port) = reached
        .await
        .map_err(|error: testcontainers::TestcontainersError| error.to_string())?;
    // it serves the whole run, and is removed when the run has ended
    std::mem::forget(container);
    Ok(near(&host, port).await)
}

/// Returns the address of a published port: on this machine's loopback, if the engine runs here.
/// The name that the engine's client resolves may be an IPv6 address where nothing listens, or, in
/// a container, the bridge's address, which is no loopback for a client that requires TLS
/// elsewhere.
async fn near(host: &str, port: u16) -> String {
    let loopback = format!("127.0.0.1:{port}");
    match TcpStream::connect(&loopback).await {
        Ok(_) => loopback,
        Err(_) => format!("{host}:{port}"),
    }
}
