package controller

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gameday-bench/gameday/workloads/cacheoperator/api/v1alpha1"
)

// The ports of a server.
const (
	redisPort   = 6379
	metricsPort = 9121
)

// volume is the name of the claim of a server.
const volume = "data"

func replicas(c *v1alpha1.Cache) int32 {
	if c.Spec.Replicas == nil {
		return 1
	}
	return *c.Spec.Replicas
}

// selector finds a Cache's pods.
func selector(c *v1alpha1.Cache) map[string]string {
	return map[string]string{"app.kubernetes.io/name": c.Name, "app.kubernetes.io/managed-by": "cache-operator"}
}

func objectMeta(c *v1alpha1.Cache) metav1.ObjectMeta {
	labels := selector(c)
	labels["app"], labels["app.kubernetes.io/component"] = c.Name, "cache"
	return metav1.ObjectMeta{Name: c.Name, Namespace: c.Namespace, Labels: labels}
}

// desired are the objects that a Cache wants, as they are applied.
func desired(c *v1alpha1.Cache) []client.Object {
	one := intstr.FromInt32(1)
	return []client.Object{
		&corev1.Service{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
			ObjectMeta: objectMeta(c),
			Spec: corev1.ServiceSpec{
				Selector: selector(c), Ports: []corev1.ServicePort{{Name: "redis", Port: redisPort, TargetPort: intstr.FromString("redis"), Protocol: corev1.ProtocolTCP}},
			},
		},
		&policyv1.PodDisruptionBudget{
			TypeMeta:   metav1.TypeMeta{APIVersion: "policy/v1", Kind: "PodDisruptionBudget"},
			ObjectMeta: objectMeta(c),
			Spec:       policyv1.PodDisruptionBudgetSpec{MaxUnavailable: &one, Selector: &metav1.LabelSelector{MatchLabels: selector(c)}},
		},
		statefulSet(c),
	}
}

func statefulSet(c *v1alpha1.Cache) *appsv1.StatefulSet {
	n, grace, no := replicas(c), int64(5), false
	labels := objectMeta(c)
	set := &appsv1.StatefulSet{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "StatefulSet"},
		ObjectMeta: labels,
		Spec: appsv1.StatefulSetSpec{
			Replicas: &n, ServiceName: c.Name, Selector: &metav1.LabelSelector{MatchLabels: selector(c)}, UpdateStrategy: c.Spec.UpdateStrategy,
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{
					Labels:      labels.Labels,
					Annotations: map[string]string{"prometheus.io/scrape": "true", "prometheus.io/port": fmt.Sprint(metricsPort), "prometheus.io/path": "/metrics"},
				},
				Spec: corev1.PodSpec{
					AutomountServiceAccountToken: &no, EnableServiceLinks: &no, TerminationGracePeriodSeconds: &grace,
					SecurityContext: c.Spec.SecurityContext, Tolerations: c.Spec.Tolerations, Containers: []corev1.Container{server(c)},
				},
			},
		},
	}
	if s := c.Spec.Storage; s != nil {
		set.Spec.VolumeClaimTemplates = []corev1.PersistentVolumeClaim{{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolumeClaim"},
			ObjectMeta: metav1.ObjectMeta{Name: volume},
			Spec: corev1.PersistentVolumeClaimSpec{
				StorageClassName: s.ClassName, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
				Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: s.Size}},
			},
		}}
	}
	return set
}

// server is the container of one replica.
func server(c *v1alpha1.Cache) corev1.Container {
	probe := corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromString("redis")}}
	out := corev1.Container{
		Name: "redis", Image: c.Spec.Image, Resources: c.Spec.Resources,
		Args: []string{"--maxmemory", fmt.Sprint(c.Spec.MaxMemory.Value()), "--maxmemory-policy", "allkeys-lru"},
		Ports: []corev1.ContainerPort{
			{Name: "redis", ContainerPort: redisPort, Protocol: corev1.ProtocolTCP}, {Name: "metrics", ContainerPort: metricsPort, Protocol: corev1.ProtocolTCP},
		},
		ReadinessProbe: &corev1.Probe{ProbeHandler: probe, PeriodSeconds: 3, TimeoutSeconds: 2, FailureThreshold: 2},
		LivenessProbe:  &corev1.Probe{ProbeHandler: probe, PeriodSeconds: 10, TimeoutSeconds: 3, FailureThreshold: 4},
	}
	if c.Spec.Password != nil {
		out.Env = []corev1.EnvVar{{Name: "REDIS_PASSWORD", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: c.Spec.Password}}}
		out.Args = append([]string{"--requirepass", "$(REDIS_PASSWORD)"}, out.Args...)
	}
	if c.Spec.Storage != nil {
		out.VolumeMounts = []corev1.VolumeMount{{Name: volume, MountPath: "/data"}}
	}
	return out
}
