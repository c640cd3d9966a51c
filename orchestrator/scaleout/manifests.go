package scaleout

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

// The labels and annotations of what is made on the cluster.
const (
	managedByLabel = "app.kubernetes.io/managed-by"
	managedBy      = "gameday"
	// runLabel is short for the run's id, which a label cannot always hold; runAnnotation has it in full.
	runLabel      = "gameday.dev/executor-run"
	runAnnotation = "gameday.dev/run"
	// sessionAnnotation names the session, imageAnnotation the image of the harness.
	sessionAnnotation = "gameday.dev/session"
	imageAnnotation   = "gameday.dev/image"
	// partLabel says what a pod is: worker or depot. generationLabel tells one depot of a session from the next.
	partLabel       = "gameday.dev/part"
	workerPart      = "worker"
	depotPart       = "depot"
	generationLabel = "gameday.dev/generation"
)

// Names of objects in the namespace of a session.
const (
	namespacePrefix = "gameday-"
	jobName         = "workers"
	container       = "gameday"
	accessSecret    = "access"
	agentsSecret    = "agents"
	depotSecret     = "depot"
	depotService    = "depot"
)

// Paths and ports in the pods.
const (
	program     = "/usr/local/bin/gameday"
	secretsDir  = "/run/gameday"
	accessFile  = "access.json"
	workDir     = "/work"
	depotDir    = "/depot"
	depotPort   = int32(8443)
	depotListen = ":8443"
)

// The variables by which a worker knows where it is.
const (
	imageVariable     = "GAMEDAY_WORKER_IMAGE"
	podVariable       = "GAMEDAY_WORKER_POD"
	namespaceVariable = "GAMEDAY_WORKER_NAMESPACE"
	nodeVariable      = "GAMEDAY_WORKER_NODE"
	// indexVariable is set by the Job controller.
	indexVariable = "JOB_COMPLETION_INDEX"
)

// user is the user and group of every process in the pods.
const user = int64(65532)

// nodeLoss is how long a pod stays bound to a node that is away before another one is made. The default is five minutes.
const nodeLoss = int64(20)

// runHash is the value of runLabel.
func runHash(run string) string {
	sum := sha256.Sum256([]byte(run))
	return hex.EncodeToString(sum[:8])
}

// namespaceOf is the namespace of a session, under the strictest of the Pod Security Standards: the API server itself refuses a pod
// that asks for any privilege.
func namespaceOf(name, run, session, image string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: name,
		Labels: map[string]string{
			managedByLabel: managedBy, runLabel: runHash(run),
			"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/enforce-version": "latest",
			"pod-security.kubernetes.io/warn": "restricted", "pod-security.kubernetes.io/audit": "restricted",
		},
		Annotations: map[string]string{runAnnotation: run, sessionAnnotation: session, imageAnnotation: image},
	}}
}

func partLabels(part string) map[string]string {
	return map[string]string{managedByLabel: managedBy, partLabel: part}
}

func secret(name string, data map[string][]byte) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{managedByLabel: managedBy}}, Data: data}
}

// podSpec is what the pods of workers and depot have in common: no privilege, no token of the API server, nothing that can be
// written but volumes.
func podSpec(c corev1.Container, volumes []corev1.Volume) corev1.PodSpec {
	c.Name = container
	c.ImagePullPolicy = corev1.PullIfNotPresent
	c.TerminationMessagePolicy = corev1.TerminationMessageFallbackToLogsOnError
	c.SecurityContext = &corev1.SecurityContext{
		AllowPrivilegeEscalation: ptr.To(false), ReadOnlyRootFilesystem: ptr.To(true), RunAsNonRoot: ptr.To(true),
		Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
	return corev1.PodSpec{
		Containers: []corev1.Container{c}, Volumes: volumes, AutomountServiceAccountToken: ptr.To(false), EnableServiceLinks: ptr.To(false),
		NodeSelector: map[string]string{corev1.LabelOSStable: "linux", corev1.LabelArchStable: arch()},
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: ptr.To(true), RunAsUser: ptr.To(user), RunAsGroup: ptr.To(user), FSGroup: ptr.To(user),
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		Tolerations: []corev1.Toleration{away(corev1.TaintNodeNotReady), away(corev1.TaintNodeUnreachable)},
	}
}

func away(taint string) corev1.Toleration {
	return corev1.Toleration{Key: taint, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: ptr.To(nodeLoss)}
}

func secretVolume(name, from string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: from, DefaultMode: ptr.To(int32(0o440))}}}
}

func emptyVolume(name string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}
}

func fieldEnv(name, path string) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}}
}

// agentEnv hands the variables to the worker, which passes each on to the agents that name it.
func agentEnv(env map[string]string) []corev1.EnvVar {
	var out []corev1.EnvVar
	for _, name := range slices.Sorted(maps.Keys(env)) {
		out = append(out, corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{
			SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: agentsSecret}, Key: name},
		}})
	}
	return out
}

// volumeClaim is the depot's. A node's own disk will do: one pod mounts it.
func volumeClaim(name, class string, size resource.Quantity) *corev1.PersistentVolumeClaim {
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: partLabels(depotPart)},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: size}},
		},
	}
	if class != "" {
		claim.Spec.StorageClassName = ptr.To(class)
	}
	return claim
}

// serviceOf is the address of the depot, whichever generation of it serves.
func serviceOf(generation string) *corev1.Service {
	selector := partLabels(depotPart)
	selector[generationLabel] = generation
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: depotService, Labels: partLabels(depotPart)},
		Spec: corev1.ServiceSpec{
			Selector: selector, Ports: []corev1.ServicePort{{Name: "https", Port: depotPort, TargetPort: intstr.FromInt32(depotPort)}},
		},
	}
}
