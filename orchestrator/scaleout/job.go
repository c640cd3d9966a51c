package scaleout

import (
	"path"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/scaleout/depot"
)

// crashes is how often the pod of an index may die by itself, beyond the retries that the run allows: out of memory, or a worker
// that could not reach the store. Pods that are lost with their node, evicted or preempted do not count.
const crashes = 2

// jobSpec is what differs from Job to Job.
type jobSpec struct {
	image     string
	trials    int
	workers   int
	retries   int
	resources Resources
	env       map[string]string
}

// jobOf is the Indexed Job of a session: an index is a trial.
func jobOf(j jobSpec) *batchv1.Job {
	labels := partLabels(workerPart)
	spec := podSpec(corev1.Container{
		Image: j.image, Command: []string{program, "executor", "worker", "--verbose", "--access", path.Join(secretsDir, accessFile), "--work", workDir},
		Env: append([]corev1.EnvVar{
			{Name: "HOME", Value: workDir}, {Name: "XDG_CACHE_HOME", Value: path.Join(workDir, "cache")}, {Name: imageVariable, Value: j.image},
			fieldEnv(podVariable, "metadata.name"), fieldEnv(namespaceVariable, "metadata.namespace"), fieldEnv(nodeVariable, "spec.nodeName"),
		}, agentEnv(j.env)...),
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{
				corev1.ResourceCPU: j.resources.CPU, corev1.ResourceMemory: j.resources.Memory, corev1.ResourceEphemeralStorage: resource.MustParse("1Gi"),
			},
			Limits: corev1.ResourceList{corev1.ResourceMemory: j.resources.Memory},
		},
		VolumeMounts: []corev1.VolumeMount{
			{Name: "access", MountPath: secretsDir, ReadOnly: true}, {Name: "work", MountPath: workDir}, {Name: "tmp", MountPath: "/tmp"},
		},
	}, []corev1.Volume{secretVolume("access", accessSecret), emptyVolume("work"), emptyVolume("tmp")})
	spec.RestartPolicy = corev1.RestartPolicyNever
	spec.TerminationGracePeriodSeconds = ptr.To(int64(workerGrace.Seconds()))
	// The first process of the pod, not the harness, then reaps what crashed nodes of the embedded cluster leave behind.
	spec.ShareProcessNamespace = ptr.To(true)
	spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
		MaxSkew: 1, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.ScheduleAnyway, LabelSelector: &metav1.LabelSelector{MatchLabels: labels},
	}}
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: jobName, Labels: labels},
		Spec: batchv1.JobSpec{
			CompletionMode: ptr.To(batchv1.IndexedCompletion), Completions: ptr.To(int32(j.trials)), Parallelism: ptr.To(int32(j.workers)),
			BackoffLimitPerIndex: ptr.To(int32(j.retries + crashes)), PodFailurePolicy: failurePolicy(),
			PodReplacementPolicy: ptr.To(batchv1.Failed),
			Template:             corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: spec},
		},
	}
}

// failurePolicy says what the end of a pod means. A disruption is nobody's failure, so the order matters: a worker that is drained
// ends with a code of its own. A worker that cannot play this plan will not in another pod either.
func failurePolicy() *batchv1.PodFailurePolicy {
	return &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{
		{
			Action:          batchv1.PodFailurePolicyActionIgnore,
			OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}},
		},
		{
			Action: batchv1.PodFailurePolicyActionFailJob,
			OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{
				ContainerName: ptr.To(container), Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: []int32{int32(errs.ExitUnfit)},
			},
		},
	}}
}

// depotOf is the depot on the claim of the same name. The pod is a Deployment's, so that there is another one when it is ended, also
// while nobody follows the Job. It waits for its node where the volume is on the disk of that: whoever follows the Job then makes
// another depot, see replaceDepot.
func depotOf(name, generation, image string) *appsv1.Deployment {
	labels := partLabels(depotPart)
	labels[generationLabel] = generation
	spec := podSpec(corev1.Container{
		Image: image, Command: []string{program, "executor", "depot", "--verbose", "--dir", depotDir, "--listen", depotListen, "--secrets", secretsDir},
		Ports: []corev1.ContainerPort{{Name: "https", ContainerPort: depotPort}},
		ReadinessProbe: &corev1.Probe{
			ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
				Path: depot.HealthPath, Port: intstr.FromInt32(depotPort), Scheme: corev1.URISchemeHTTPS,
			}},
			PeriodSeconds: 2, TimeoutSeconds: 2, FailureThreshold: 3,
		},
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("50m"), corev1.ResourceMemory: resource.MustParse("64Mi")},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("256Mi")},
		},
		VolumeMounts: []corev1.VolumeMount{
			{Name: "secrets", MountPath: secretsDir, ReadOnly: true}, {Name: "depot", MountPath: depotDir}, {Name: "tmp", MountPath: "/tmp"},
		},
	}, []corev1.Volume{
		secretVolume("secrets", depotSecret), emptyVolume("tmp"),
		{Name: "depot", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name}}},
	})
	spec.TerminationGracePeriodSeconds = ptr.To(int64(30))
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To(int32(1)), Selector: &metav1.LabelSelector{MatchLabels: labels},
			// The volume has one place at a time.
			Strategy: appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: spec},
		},
	}
}
