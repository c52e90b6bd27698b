//! Paths as the runtimes write them, on both versions and with both of their cgroup drivers.

use proptest::prelude::*;

use super::*;

const ID: &str = "3f1c0d7a9b5e4f62818d2c7e6a90b1c4d5e6f708192a3b4c5d6e7f8091a2b3c4";

/// `ID` stands for the identity.
fn container(pattern: &str) -> Option<(&'static str, String)> {
    let path = pattern.replace("ID", ID);
    container_of(&path).map(|(runtime, id)| (runtime, id.replace(ID, "ID")))
}

#[test]
fn containers_of_every_runtime() {
    for (path, runtime, id) in [
        ("/docker/ID", "docker", "ID"),
        ("/system.slice/docker-ID.scope", "docker", "ID"),
        ("/docker/ID/system.slice/nginx.service", "docker", "ID"),
        ("/../docker-ID.scope", "docker", "ID"),
        ("/ecs/7f3b2a/ID", "docker", "ID"),
        ("/machine.slice/libpod-ID.scope", "podman", "ID"),
        ("/machine.slice/libpod-ID.scope/container", "podman", "ID"),
        (
            "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope",
            "podman",
            "ID",
        ),
        (
            "/machine.slice/machine-libpod_pod_ID.slice/libpod-ID.scope",
            "podman",
            "ID",
        ),
        ("/libpod_parent/libpod-ID", "podman", "ID"),
        ("/libpod_parent/ID", "podman", "ID"),
        ("/system.slice/web.service/libpod-payload-ID", "podman", "ID"),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod12_3.slice/cri-containerd-ID.scope",
            "containerd",
            "ID",
        ),
        (
            "/system.slice/containerd.service/kubepods-besteffort-pod12.slice:cri-containerd:ID",
            "containerd",
            "ID",
        ),
        (
            "/kubepods.slice/kubepods-pod12.slice/crio-ID.scope",
            "cri-o",
            "ID",
        ),
        (
            "/kubepods.slice/kubepods-pod12.slice/docker-ID.scope",
            "docker",
            "ID",
        ),
        ("/kubepods/burstable/pod12-34/ID", "kubernetes", "ID"),
        ("/kubepods.slice/kubepods-pod12.slice/ID", "kubernetes", "ID"),
        ("/default/ID", "containerd", "ID"),
        ("/system.slice/nerdctl-ID.scope", "containerd", "ID"),
        ("/my-own-parent/ID", "oci", "ID"),
        ("/lxc/101", "lxc", "101"),
        ("/lxc/101/ns/system.slice/cron.service", "lxc", "101"),
        ("/lxc.payload.web", "lxc", "web"),
        ("/lxc.payload.web/docker/ID", "lxc", "web"),
        ("/lxc.payload/web", "lxc", "web"),
        (
            "/machine.slice/systemd-nspawn@build.service",
            "systemd-nspawn",
            "build",
        ),
        (
            "/machine.slice/systemd-nspawn@build.service/payload",
            "systemd-nspawn",
            "build",
        ),
        (
            r"/machine.slice/machine-my\x2dbox.scope",
            "systemd-nspawn",
            r"my\x2dbox",
        ),
        (
            r"/machine.slice/machine-qemu\x2d1\x2dweb.scope/libvirt/vcpu0",
            "libvirt",
            r"qemu\x2d1\x2dweb",
        ),
    ] {
        let found = Some((runtime, id.to_owned()));
        assert_eq!(container(path), found, "{path}");
        assert_eq!(container(&format!("{path} (deleted)")), found, "{path}");
    }
}

#[test]
fn what_is_no_container() {
    for path in [
        "/",
        "",
        "/system.slice/docker.service",
        "/system.slice/docker.socket",
        "/docker",
        "/docker/buildkit",
        "/docker/3f1c0d7a9b5e",
        "/machine.slice/libpod-conmon-ID.scope",
        "/kubepods.slice/kubepods-pod12.slice/crio-conmon-ID.scope",
        "/machine.slice/machine-libpod_pod_ID.slice",
        "/kubepods/burstable/pod12-34",
        "/lxc",
        "/lxc.monitor.web",
        "/lxc.monitor/web",
        "/lxc.payload.",
        "/user.slice/user-1000.slice/session-3.scope",
        "/process_api/39903d5ca40cf805b1e960bfd1c35e8d",
        "/machine.slice/systemd-nspawn@.service",
    ] {
        assert_eq!(container(path), None, "{path}");
    }
}

#[test]
fn a_container_is_one_group_and_not_those_in_it() {
    let at = |pattern: &str| container_at(&pattern.replace("ID", ID)).map(|(runtime, _)| runtime);
    assert_eq!(at("/docker/ID"), Some("docker"));
    assert_eq!(at("docker/ID/"), Some("docker"));
    assert_eq!(at("/docker/ID/init"), None);
    assert_eq!(at("/lxc/101"), Some("lxc"));
    assert_eq!(at("/lxc/101/ns"), None);
    assert_eq!(
        at("/lxc.payload.web/docker/ID"),
        None,
        "the host runs web, not what runs in it"
    );
}

#[test]
fn units_are_the_innermost_that_hold_processes() {
    for (path, unit) in [
        ("/system.slice/nginx.service", Some("nginx.service")),
        ("/system.slice/nginx.service (deleted)", Some("nginx.service")),
        (
            "/system.slice/containerd.service/worker",
            Some("containerd.service"),
        ),
        (
            "/user.slice/user-1000.slice/user@1000.service/app.slice/editor.service",
            Some("editor.service"),
        ),
        (
            "/user.slice/user-1000.slice/session-3.scope",
            Some("session-3.scope"),
        ),
        ("/init.scope", Some("init.scope")),
        ("/user.slice", None),
        ("/docker/web", None),
        ("/.service", None),
        ("/", None),
    ] {
        assert_eq!(unit_of(path), unit, "{path}");
    }
}

#[test]
fn the_group_of_a_process() {
    for (file, path) in [
        (
            "0::/system.slice/cron.service\n",
            Some("/system.slice/cron.service"),
        ),
        // Hybrid: systemd's hierarchy and that of version 2 agree, the controllers' own may lag behind.
        (
            "5:memory:/\n1:name=systemd:/system.slice/cron.service\n0::/\n",
            Some("/system.slice/cron.service"),
        ),
        (
            "9:name=systemd:/\n4:memory:/process_api/12\n0::/\n",
            Some("/process_api/12"),
        ),
        ("4:cpu,cpuacct:/\n0::/\n", Some("/")),
        ("3:cpu:/a:b\n", Some("/a:b")),
        ("", None),
        ("garbage\n", None),
    ] {
        assert_eq!(path_of_process(file.as_bytes()), path, "{file:?}");
    }
    assert_eq!(path_of_process(b"0::/\xff\n"), None);
}

proptest! {
    #[test]
    fn any_path_can_be_looked_at(parts in proptest::collection::vec(
        "(lxc|docker|kubepods|libpod-|machine-|\\.scope|\\.service|:cri-containerd:|[a-f0-9]{64}|/|.){0,3}", 0..6,
    )) {
        let path = parts.join("/");
        if let Some((_, id)) = container_of(&path) {
            prop_assert!(!id.is_empty() && path.contains(id));
        }
        let _ = (container_at(&path), unit_of(&path), path_of_process(path.as_bytes()));
    }
}
