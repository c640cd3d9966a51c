package chaosmesh

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/release"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	apiyaml "k8s.io/apimachinery/pkg/util/yaml"

	"github.com/gameday-bench/gameday/internal/errs"
)

func TestInstallVerifyUninstall(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	ctx := t.Context()

	release, err := r.install(ctx)
	require.NoError(t, err)
	require.True(t, release.Owned())
	require.Equal(t, here, release.Namespace())
	require.Equal(t, "2.8.4", release.Version())
	require.Equal(t, 23, r.ownedDefinitions(t))
	ns, err := r.fake.CoreV1().Namespaces().Get(ctx, here, metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, map[string]string{OwnedLabel: "true", podSecurity: "privileged"}, ns.Labels)
	require.Equal(t, 1, r.podsMade())

	require.NoError(t, release.Verify(ctx))
	require.Equal(t, 1, r.podsMade(), "it has just been verified")
	require.NoError(t, release.Verify(ctx))
	require.Equal(t, 2, r.podsMade())
	canaries, err := r.fake.CoreV1().Pods(here).List(ctx, metav1.ListOptions{LabelSelector: canaryLabel})
	require.NoError(t, err)
	require.Empty(t, canaries.Items)
	left, err := r.experiments(ctx)
	require.NoError(t, err)
	require.Empty(t, left)

	again, err := r.install(ctx)
	require.NoError(t, err)
	require.True(t, again.Owned(), "what an earlier process has installed is known again")

	found, err := r.find(ctx, here)
	require.NoError(t, err)
	require.NoError(t, found.Uninstall(ctx))
	require.Zero(t, r.ownedDefinitions(t))
	_, err = r.fake.CoreV1().Namespaces().Get(ctx, here, metav1.GetOptions{})
	require.True(t, apierrors.IsNotFound(err), "%v", err)
	found, err = r.find(ctx, "")
	require.NoError(t, err)
	require.Nil(t, found)
	require.NoError(t, release.Uninstall(ctx), "it can be called again")
}

func TestInstallUsesWhatIsThere(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{Chart: "no/such/chart"})
	require.NoError(t, r.runPrograms("mesh"))

	release, err := r.install(t.Context())
	require.NoError(t, err)
	require.False(t, release.Owned())
	require.Equal(t, "mesh", release.Namespace())
	require.Equal(t, "2.7.3", release.Version())
	require.Zero(t, r.ownedDefinitions(t))

	require.NoError(t, release.Uninstall(t.Context()))
	_, err = r.fake.AppsV1().Deployments("mesh").Get(t.Context(), controllerName, metav1.GetOptions{})
	require.NoError(t, err)
}

func TestInstallRefusesTwo(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	require.NoError(t, r.runPrograms("a"))
	require.NoError(t, r.runPrograms("b"))
	_, err := r.install(t.Context())
	require.ErrorIs(t, err, errSeveral)
}

func TestInstallAfterOneThatWasCutOff(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	r.record(t, map[string]string{OwnedLabel: owned}, release.StatusPendingInstall)

	made, err := r.install(t.Context())
	require.NoError(t, err)
	require.True(t, made.Owned())
	record, err := r.releaseIn(here)
	require.NoError(t, err)
	require.Equal(t, release.StatusDeployed, record.Info.Status)
	require.Contains(t, r.log.String(), "not installed to the end")
}

func TestInstallLeavesTheUnfinishedReleaseOfSomebodyElse(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	r.record(t, nil, release.StatusFailed)

	_, err := r.install(t.Context())
	require.ErrorContains(t, err, "release chaos-mesh in namespace chaos-mesh is not installed to the end")
	require.Equal(t, errs.Infra, errs.PartyOf(err))
	record, err := r.releaseIn(here)
	require.NoError(t, err)
	require.NotNil(t, record)
}

// record puts a release into Helm's books.
func (r *rig) record(t *testing.T, labels map[string]string, status release.Status) {
	t.Helper()
	cfg, err := r.helm(here)
	require.NoError(t, err)
	ch, err := loader.Load("testdata/chart")
	require.NoError(t, err)
	require.NoError(t, cfg.Releases.Create(&release.Release{
		Name: releaseName, Namespace: here, Version: 1, Chart: ch, Labels: labels, Info: &release.Info{Status: status},
	}))
}

func TestInstallThatDoesNotWorkIsRemoved(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	r.deaf = true // It says that it injects, and nothing happens.

	_, err := r.install(t.Context())
	var step *StepError
	require.ErrorAs(t, err, &step)
	require.Equal(t, "see the fault", step.Step)
	require.Len(t, step.Tails, 2)
	require.Equal(t, Tail{Pod: controllerName, Lines: []string{"fake logs"}}, step.Tails[0])
	require.ErrorContains(t, err, "connection refused")
	require.ErrorContains(t, err, "last lines of chaos-daemon:\n  fake logs")
	require.Equal(t, errs.Infra, errs.PartyOf(err))
	require.Contains(t, errs.HintOf(err), "iptables")

	require.Zero(t, r.ownedDefinitions(t))
	found, err := r.find(t.Context(), "")
	require.NoError(t, err)
	require.Nil(t, found)
}

func TestInstallIsCalledOff(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	r.deaf = true
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := r.install(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, errs.Interrupted, errs.PartyOf(blame(err)))
	require.Zero(t, r.ownedDefinitions(t))
}

func TestRolloutThatFails(t *testing.T) {
	t.Parallel()
	waiting := func(reason string) corev1.PodStatus {
		return corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{
			{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: "it says why"}}},
		}}
	}
	for name, tc := range map[string]struct {
		status corev1.PodStatus
		want   string
	}{
		"image that is not there": {waiting("ImagePullBackOff"), "pod chaos-daemon: ImagePullBackOff: it says why"},
		"image that is no name":   {waiting("InvalidImageName"), "wait for Chaos Mesh's programs: chaos-daemon: 0 of 1 are available"},
		"no room": {corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{
			{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Message: "0/1 nodes are available"},
		}}, "not scheduled: 0/1 nodes are available"},
		"ended": {corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted"}, "failed Evicted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Options{})
			ctx := t.Context()
			require.NoError(t, r.runPrograms(here))
			ds, err := r.fake.AppsV1().DaemonSets(here).Get(ctx, daemonName, metav1.GetOptions{})
			require.NoError(t, err)
			ds.Status.NumberAvailable = 0
			_, err = r.fake.AppsV1().DaemonSets(here).Update(ctx, ds, metav1.UpdateOptions{})
			require.NoError(t, err)
			p, err := r.fake.CoreV1().Pods(here).Get(ctx, daemonName, metav1.GetOptions{})
			require.NoError(t, err)
			p.Status = tc.status
			_, err = r.fake.CoreV1().Pods(here).Update(ctx, p, metav1.UpdateOptions{})
			require.NoError(t, err)
			_, err = r.fake.CoreV1().Events(here).Create(ctx, &corev1.Event{
				ObjectMeta: metav1.ObjectMeta{Name: "e", Namespace: here}, Type: corev1.EventTypeWarning, Reason: "FailedCreate", Message: "not allowed",
				InvolvedObject: corev1.ObjectReference{Kind: "DaemonSet", Name: daemonName},
			}, metav1.CreateOptions{})
			require.NoError(t, err)

			_, err = r.install(ctx)
			require.ErrorContains(t, err, tc.want)
			require.ErrorContains(t, err, "daemonset chaos-daemon: FailedCreate: not allowed")
			require.Contains(t, errs.HintOf(err), "--chaos-mesh-images")
		})
	}
}

func TestNamespaceThatTakesNoPrivilegedPods(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	_, err := r.fake.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{Name: here, Labels: map[string]string{podSecurity: "restricted"}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = r.install(t.Context())
	require.ErrorContains(t, err, "takes no privileged pods")
	require.Contains(t, errs.HintOf(err), "kubectl label --overwrite namespace chaos-mesh")
	_, err = r.fake.CoreV1().Namespaces().Get(t.Context(), here, metav1.GetOptions{})
	require.NoError(t, err, "it is not ours")
}

func TestDefinitionsOfOthersAreBroughtUpToDateAndStay(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	require.NoError(t, r.dyns.Tracker().Create(definitionResource, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": map[string]any{"name": "podchaos.chaos-mesh.org"},
	}}, ""))
	made, err := r.install(t.Context())
	require.NoError(t, err)
	require.Equal(t, 22, r.ownedDefinitions(t))
	require.NoError(t, made.Uninstall(t.Context()))
	d, err := r.dyns.Resource(definitionResource).Get(t.Context(), "podchaos.chaos-mesh.org", metav1.GetOptions{})
	require.NoError(t, err)
	require.Contains(t, d.Object, "spec")
}

func TestChartGetsTheValues(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		options                 Options
		controller, daemon, dns string
	}{
		"defaults":    {Options{}, "ghcr.io/chaos-mesh/chaos-mesh:v2.8.4", "ghcr.io/chaos-mesh/chaos-daemon:v2.8.4", ""},
		"images":      {Options{Images: "localhost:5000"}, "localhost:5000/chaos-mesh/chaos-mesh:v2.8.4", "localhost:5000/chaos-mesh/chaos-daemon:v2.8.4", ""},
		"tag and DNS": {Options{Images: "r.example.com/m:v1", DNSServer: true}, "r.example.com/m/chaos-mesh/chaos-mesh:v1", "r.example.com/m/chaos-mesh/chaos-daemon:v1", "dns"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, tc.options)
			_, err := r.install(t.Context())
			require.NoError(t, err)
			deployment, daemons, config := r.rendered(t)
			controller := deployment.Spec.Template.Spec.Containers[0]
			require.Equal(t, int32(1), *deployment.Spec.Replicas)
			require.Equal(t, tc.controller, controller.Image)
			require.Equal(t, []corev1.EnvVar{
				{Name: "ENABLE_LEADER_ELECTION", Value: "false"}, {Name: "POD_FAILURE_PAUSE_IMAGE", Value: "registry.k8s.io/pause:3.10.1"}, {Name: "PROFILING", Value: "false"},
			}, controller.Env)
			require.Nil(t, deployment.Spec.Template.Spec.Affinity.NodeAffinity)
			pod := daemons.Spec.Template.Spec
			require.Equal(t, tc.daemon, pod.Containers[0].Image)
			require.Equal(t, []string{"--runtime", "containerd", "--runtime-socket-path", "/run/containerd/containerd.sock"}, pod.Containers[0].Args)
			require.Equal(t, []corev1.Toleration{{Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute}}, pod.Tolerations)
			require.Equal(t, map[string]string{corev1.LabelOSStable: "linux"}, pod.NodeSelector)
			require.Equal(t, tc.dns, config)
		})
	}
}

func TestControllersRunOnTheControlPlane(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{ControlPlane: true})
	_, err := r.install(t.Context())
	require.NoError(t, err)
	deployment, _, _ := r.rendered(t)
	pod := deployment.Spec.Template.Spec
	require.Len(t, pod.Affinity.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution, 1)
	require.Equal(t, "node-role.kubernetes.io/control-plane", pod.Tolerations[0].Key)
}

// rendered is what the chart was turned into: the controllers, the daemon, and the name of the optional part that there is.
func (r *rig) rendered(t *testing.T) (deployment appsv1.Deployment, daemons appsv1.DaemonSet, optional string) {
	t.Helper()
	record, err := r.releaseIn(here)
	require.NoError(t, err)
	decoder := apiyaml.NewYAMLOrJSONDecoder(strings.NewReader(record.Manifest), 4096)
	for {
		o := &unstructured.Unstructured{}
		err := decoder.Decode(&o.Object)
		if errors.Is(err, io.EOF) {
			return deployment, daemons, optional
		}
		require.NoError(t, err)
		switch o.GetKind() {
		case "Deployment":
			convert(t, o, &deployment)
		case "DaemonSet":
			convert(t, o, &daemons)
		case "ConfigMap":
			require.Empty(t, optional)
			optional = o.GetName()
		}
	}
}

func TestReleaseIsRecordedAsHelmDoes(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	_, err := r.install(t.Context())
	require.NoError(t, err)
	secret, err := r.fake.CoreV1().Secrets(here).Get(t.Context(), "sh.helm.release.v1.chaos-mesh.v1", metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, "true", secret.Labels[OwnedLabel])
	require.Equal(t, "deployed", secret.Labels["status"])
	_, err = base64.StdEncoding.DecodeString(string(secret.Data["release"]))
	require.NoError(t, err)
}
