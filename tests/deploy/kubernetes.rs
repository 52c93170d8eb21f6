//! The manifests, as kubectl renders them: held against the schemas of Kubernetes, and against what no schema sees.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use ksana::config::{Config, Host};
use ksana::limits::{LOG_FLUSH_MILLIS, SHUTDOWN_ATTEMPTS_SECS, SHUTDOWN_REQUESTS_SECS};
use serde_json::{Deserializer, Value, json};

use crate::support::{deploy, has, run};

/// The oldest and a middling version that the manifests are for, and the newest that the validator knows.
const VERSIONS: [&[&str]; 3] = [&["-k", "1.25"], &["-k", "1.32"], &[]];

/// What is rendered from one folder.
struct Manifests {
    folder: &'static str,
    documents: Vec<Value>,
}

impl Manifests {
    fn render(folder: &'static str) -> Self {
        Self { folder, documents: documents("kubectl kustomize", folder) }
    }

    /// The only one of its kind.
    #[track_caller]
    fn one(&self, kind: &str) -> &Value {
        let mut found = self.documents.iter().filter(|document| document["kind"] == kind);
        let document = found.next().unwrap_or_else(|| panic!("{} has no {kind}", self.folder));
        assert!(found.next().is_none(), "{} has several {kind}s", self.folder);
        document
    }

    /// The claim that the `StatefulSet` makes of its only template.
    fn claim(&self) -> Value {
        let set = self.one("StatefulSet");
        let [template] = list(&set["spec"]["volumeClaimTemplates"]) else { panic!("one volume is kept") };
        let name = format!("{}-{}-0", text(&template["metadata"]["name"]), text(&set["metadata"]["name"]));
        let mut claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim"});
        claim["metadata"] = json!({"name": name, "labels": template["metadata"]["labels"]});
        claim["spec"] = template["spec"].clone();
        claim
    }

    /// The pod that the `StatefulSet` makes. The schema of a template is that of a pod, but an API server looks at the
    /// pod more closely than at the template, and so do these tests.
    fn pod(&self) -> Value {
        let set = self.one("StatefulSet");
        let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": set["spec"]["template"]["metadata"]});
        pod["metadata"]["name"] = format!("{}-0", text(&set["metadata"]["name"])).into();
        pod["spec"] = set["spec"]["template"]["spec"].clone();
        let template = &set["spec"]["volumeClaimTemplates"][0]["metadata"]["name"];
        let claim = json!({"claimName": self.claim()["metadata"]["name"]});
        let volumes = pod["spec"]["volumes"].as_array_mut().expect("the keys are a volume");
        volumes.push(json!({"name": template, "persistentVolumeClaim": claim}));
        pod
    }

    /// The only container of the pod.
    fn container(&self) -> Value {
        let pod = self.pod();
        let [container] = list(&pod["spec"]["containers"]) else { panic!("Ksana runs alone") };
        container.clone()
    }

    /// The settings that Ksana reads.
    fn config(&self) -> Config {
        let container = self.container();
        let variables: BTreeMap<&str, &str> =
            list(&container["env"]).iter().map(|entry| (text(&entry["name"]), text(&entry["value"]))).collect();
        Config::from_vars(|name| variables.get(name).map(OsString::from)).expect("the values are accepted")
    }

    /// All that a cluster comes to see.
    fn everything(&self) -> Vec<Value> {
        self.documents.iter().cloned().chain([self.pod(), self.claim()]).collect()
    }
}

/// The base and the example, rendered once.
static RENDERED: LazyLock<[Manifests; 2]> = LazyLock::new(|| ["base", "example"].map(Manifests::render));

/// What backups are made through, which is no part of the base.
static DATA_POD: LazyLock<Value> = LazyLock::new(|| documents("cat", "data-pod.yaml").remove(0));

/// What a command prints of a file or a folder, in YAML. A local patch of kubectl, of nothing, makes JSON of that and asks
/// no server.
fn documents(command: &str, name: &str) -> Vec<Value> {
    let script = format!(r#"{command} "$0" | kubectl patch --local -f - -p '{{}}' -o json"#);
    let text = run(Command::new("sh").args(["-c", &script]).arg(deploy().join("kubernetes").join(name)));
    let documents = Deserializer::from_str(&text).into_iter().collect::<Result<_, _>>();
    documents.expect("kubectl prints JSON")
}

/// Looks at the base and at the example, where there is a kubectl.
fn check(look: impl Fn(&Manifests)) {
    if has(&["kubectl"]) {
        RENDERED.iter().for_each(look);
    }
}

#[track_caller]
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

#[track_caller]
fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list"))
}

fn names(entries: &Value) -> BTreeSet<&str> {
    list(entries).iter().map(|entry| text(&entry["name"])).collect()
}

fn validate(version: &[&str], documents: &[Value]) -> Output {
    let mut validator = Command::new("kubernetes-validate")
        .args(["--strict", "--quiet"])
        .args(version)
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it is there");
    let documents: Vec<String> = documents.iter().map(Value::to_string).collect();
    let mut input = validator.stdin.take().expect("it is piped");
    input.write_all(documents.join("\n---\n").as_bytes()).expect("it reads all of it");
    drop(input);
    validator.wait_with_output().expect("it is our child")
}

#[test]
fn schemas_of_three_versions_accept_all_that_is_rendered_or_made_of_it() {
    if !has(&["kubectl", "kubernetes-validate"]) {
        return;
    }
    let everything: Vec<Value> = RENDERED.iter().flat_map(Manifests::everything).chain([DATA_POD.clone()]).collect();
    for version in VERSIONS {
        let output = validate(version, &everything);
        assert!(output.status.success(), "{version:?}: {output:?}");
    }
}

#[test]
fn a_misspelt_field_is_refused_in_every_kind() {
    if !has(&["kubectl", "kubernetes-validate"]) {
        return;
    }
    for document in RENDERED[1].everything() {
        let mut misspelt = document.clone();
        misspelt["spec"]["misspelt"] = json!(true);
        let output = validate(VERSIONS[1], &[misspelt]);
        let told = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && told.contains("'misspelt' was unexpected"), "{document}: {told}");
    }
}

#[test]
fn one_pod_is_replaced_and_never_doubled() {
    check(|manifests| {
        let set = &manifests.one("StatefulSet")["spec"];
        assert_eq!(set["replicas"], 1);
        assert_eq!(set["updateStrategy"], json!({"type": "RollingUpdate"}));
        assert_eq!(manifests.claim()["spec"]["accessModes"], json!(["ReadWriteOnce"]));
    });
}

#[test]
fn every_selector_names_the_labels_of_the_pod() {
    check(|manifests| {
        let (set, service) = (manifests.one("StatefulSet"), manifests.one("Service"));
        let labels = &manifests.pod()["metadata"]["labels"];
        assert_eq!(&set["spec"]["selector"], &json!({"matchLabels": labels}));
        assert_eq!(&service["spec"]["selector"], labels);
        assert_eq!(&manifests.one("NetworkPolicy")["spec"]["podSelector"], &json!({"matchLabels": labels}));
        assert_eq!(set["spec"]["serviceName"], service["metadata"]["name"]);
    });
}

#[test]
fn every_port_that_is_named_is_the_one_that_ksana_listens_on() {
    check(|manifests| {
        let container = manifests.container();
        let [port] = list(&container["ports"]) else { panic!("Ksana has one port") };
        assert_eq!(port["containerPort"], manifests.config().port);
        let host = manifests.config().host;
        assert!(
            matches!(host, Host::Ip(address) if address.is_unspecified()),
            "others than the pod must reach {host:?}"
        );

        let probes = [("startupProbe", "/health"), ("livenessProbe", "/health"), ("readinessProbe", "/ready")];
        for (probe, path) in probes {
            assert_eq!(container[probe]["httpGet"], json!({"path": path, "port": port["name"]}), "{probe}");
        }
        let [of_service] = list(&manifests.one("Service")["spec"]["ports"]) else { panic!("the Service has one") };
        assert_eq!(of_service["targetPort"], port["name"]);
        let ingress = &manifests.one("NetworkPolicy")["spec"]["ingress"];
        assert_eq!(ingress, &json!([{"ports": [{"port": port["name"], "protocol": port["protocol"]}]}]));
    });
}

#[test]
fn every_volume_is_there_and_mounted_as_a_whole() {
    check(|manifests| {
        let (pod, container) = (manifests.pod(), manifests.container());
        let mounts = list(&container["volumeMounts"]);
        assert_eq!(names(&container["volumeMounts"]), names(&pod["spec"]["volumes"]));
        for mount in mounts {
            assert!(mount.get("subPath").is_none() && mount.get("subPathExpr").is_none(), "{mount} never changes");
        }
    });
}

#[test]
fn settings_point_into_the_volumes() {
    check(|manifests| {
        let (pod, container, config) = (manifests.pod(), manifests.container(), manifests.config());
        let mount_at = |path: &Path| {
            let mut mounts = list(&container["volumeMounts"]).iter();
            mounts.find(|mount| Path::new(text(&mount["mountPath"])) == path).expect("a volume is mounted there")
        };
        let volume_of = |mount: &Value| {
            let mut volumes = list(&pod["spec"]["volumes"]).iter();
            volumes.find(|volume| volume["name"] == mount["name"]).expect("the volume is there").clone()
        };

        let data = mount_at(&config.data_dir);
        assert!(data.get("readOnly").is_none());
        assert_eq!(volume_of(data)["persistentVolumeClaim"]["claimName"], manifests.claim()["metadata"]["name"]);

        let keys = mount_at(config.keys_file.path.parent().expect("the file lies in a folder"));
        let secret = &volume_of(keys)["secret"];
        assert_eq!(keys["readOnly"], true);
        assert_eq!(secret["optional"], true, "else a Secret that is deleted revokes nothing");
        let file = config.keys_file.path.file_name().and_then(|name| name.to_str()).expect("its name is text");
        assert_eq!(secret["items"], json!([{"key": file, "path": file}]));
        assert_eq!(secret["defaultMode"], 0o440, "the group reads it, which is fsGroup, and nobody writes it");
    });
}

#[test]
fn a_pod_may_take_longer_to_stop_than_ksana_takes() {
    check(|manifests| {
        let grace = manifests.pod()["spec"]["terminationGracePeriodSeconds"].as_u64().expect("it is set");
        let own_limits = SHUTDOWN_ATTEMPTS_SECS + SHUTDOWN_REQUESTS_SECS + LOG_FLUSH_MILLIS.div_ceil(1_000);
        assert!(grace >= own_limits + 10, "{grace} s leave no time to write jobs.json after {own_limits} s");
    });
}

#[test]
fn the_pod_may_do_no_more_than_the_restricted_standard_allows() {
    check(|manifests| {
        let pod = &manifests.pod()["spec"];
        assert_eq!(pod["automountServiceAccountToken"], false);
        assert_eq!(pod["enableServiceLinks"], false, "KSANA_PORT and its like are not ours");
        let user = json!({
            "runAsNonRoot": true, "runAsUser": 10001, "runAsGroup": 10001,
            "fsGroup": 10001, "fsGroupChangePolicy": "OnRootMismatch", "seccompProfile": {"type": "RuntimeDefault"},
        });
        assert_eq!(pod["securityContext"], user);
        let rights = json!({
            "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
        });
        assert_eq!(manifests.container()["securityContext"], rights);
    });
}

#[test]
fn the_pod_for_backups_is_the_same_user_on_the_same_volume_and_gets_no_requests() {
    check(|manifests| {
        let (pod, container) = (&DATA_POD["spec"], &DATA_POD["spec"]["containers"][0]);
        assert_eq!(pod["securityContext"], manifests.pod()["spec"]["securityContext"]);
        assert_eq!(container["securityContext"], manifests.container()["securityContext"]);
        let claim = json!({"claimName": manifests.claim()["metadata"]["name"]});
        assert_eq!(pod["volumes"], json!([{"name": "data", "persistentVolumeClaim": claim}]));
        assert_eq!(names(&container["volumeMounts"]), names(&pod["volumes"]));

        let selector = manifests.one("Service")["spec"]["selector"].as_object().expect("it has one");
        let labels = &DATA_POD["metadata"]["labels"];
        assert!(selector.iter().any(|(name, value)| labels[name] != *value), "{labels} are those of Ksana");
    });
}

#[test]
fn no_key_is_shipped() {
    check(|manifests| {
        let kinds: BTreeSet<&str> = manifests.documents.iter().map(|document| text(&document["kind"])).collect();
        assert!(!kinds.contains("Secret"), "{}: {kinds:?}", manifests.folder);
    });
}

#[test]
fn the_example_says_where_and_which_image() {
    check(|manifests| {
        if manifests.folder != "example" {
            return;
        }
        let namespace = manifests.one("Namespace");
        for document in manifests.documents.iter().filter(|document| *document != namespace) {
            assert_eq!(document["metadata"]["namespace"], namespace["metadata"]["name"], "{document}");
        }
        let container = manifests.container();
        let (_, tag) = text(&container["image"]).rsplit_once(':').expect("it has a tag");
        assert_eq!(tag, env!("CARGO_PKG_VERSION"));
    });
}
