package chaosmesh

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/clock"

	"github.com/gameday-bench/gameday/internal/errs"
)

// says is an answer of the API server to a try to reach the canary.
type says struct {
	body string
	err  error
}

func (s says) DoRaw(context.Context) ([]byte, error)       { return []byte(s.body), s.err }
func (says) Stream(context.Context) (io.ReadCloser, error) { return nil, errors.New("no stream") }

func TestKnock(t *testing.T) {
	t.Parallel()
	unavailable := apierrors.NewGenericServerResponse(http.StatusServiceUnavailable, "get", schema.GroupResource{}, "", "unknown", 0, true)
	for name, tc := range map[string]struct {
		reply says
		want  reply
	}{
		"refused":               {says{"dial tcp 10.0.0.1:10250: connect: connection refused", unavailable}, answered},
		"served":                {says{"hello", nil}, answered},
		"timed out":             {says{"dial tcp 10.0.0.1:10250: i/o timeout", unavailable}, silent},
		"no route":              {says{"dial tcp 10.0.0.1:10250: connect: no route to host", unavailable}, unclear},
		"API server is away":    {says{"", errors.New("dial tcp 127.0.0.1:6443: connect: connection refused")}, unclear},
		"pod is away":           {says{"", apierrors.NewNotFound(schema.GroupResource{Resource: "pods"}, "canary")}, unclear},
		"API server times out":  {says{"", errors.New("net/http: TLS handshake timeout")}, unclear},
		"its own limit is over": {says{"context deadline exceeded", unavailable}, silent},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Options{})
			r.fake.PrependProxyReactor("pods", func(clienttesting.Action) (bool, rest.ResponseWrapper, error) { return true, tc.reply, nil })
			got, detail := newCanary(&Release{site: r.site, namespace: here}).knock(t.Context())
			require.Equal(t, tc.want, got, detail)
			require.NotEmpty(t, detail)
		})
	}
}

func TestVerifySaysWhichStepFailed(t *testing.T) {
	t.Parallel()
	refuse := func(verb, resource string) func(*rig) {
		return func(r *rig) {
			r.dyns.PrependReactor(verb, resource, func(clienttesting.Action) (bool, runtime.Object, error) {
				return true, nil, apierrors.NewInternalError(errors.New("failed calling webhook"))
			})
		}
	}
	for name, tc := range map[string]struct {
		spoil       func(*rig)
		step, wants string
	}{
		"start": {func(r *rig) {
			r.fake.PrependReactor("create", "pods", func(a clienttesting.Action) (bool, runtime.Object, error) {
				return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "canary", errors.New("quota"))
			})
		}, "start a canary", "quota"},
		"reach":  {func(r *rig) { r.cutOff.Store(true) }, "reach the canary", "no answer within 5ms"},
		"create": {refuse("create", "networkchaos"), "create an experiment", "failed calling webhook"},
		"inject": {func(r *rig) {
			r.dyns.PrependReactor("create", "networkchaos", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, nil })
		}, "inject the fault", "not found"},
		"see":     {func(r *rig) { r.deaf = true }, "see the fault", "still answers"},
		"recover": {refuse("delete", "networkchaos"), "recover", "failed calling webhook"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Options{CanaryImage: "example.com/x:1"})
			require.NoError(t, r.runPrograms(here))
			tc.spoil(r)
			found, err := r.find(t.Context(), here)
			require.NoError(t, err)
			err = found.Verify(t.Context())
			var step *StepError
			require.ErrorAs(t, err, &step)
			require.Equal(t, tc.step, step.Step)
			require.ErrorContains(t, err, tc.wants)
			require.Equal(t, errs.Infra, errs.PartyOf(err))
			require.NotEmpty(t, errs.HintOf(err))
			pods, err := r.fake.CoreV1().Pods(here).List(t.Context(), metav1.ListOptions{LabelSelector: canaryLabel})
			require.NoError(t, err)
			require.Empty(t, pods.Items)
		})
	}
}

func TestCanaryRunsWhatTheOptionsSay(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		options Options
		image   string
		command []string
	}{
		"default":  {Options{}, "ghcr.io/chaos-mesh/chaos-daemon:v2.8.4", []string{"sleep", "infinity"}},
		"given":    {Options{CanaryImage: "x:1", CanaryCommand: []string{"/serve"}}, "x:1", []string{"/serve"}},
		"as it is": {Options{CanaryImage: "x:1"}, "x:1", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, tc.options)
			require.NoError(t, r.runPrograms(here))
			pod, err := newCanary(&Release{site: r.site, namespace: here}).pod(t.Context())
			require.NoError(t, err)
			require.Equal(t, tc.image, pod.Spec.Containers[0].Image)
			require.Equal(t, tc.command, pod.Spec.Containers[0].Command)
			require.Equal(t, map[string]string{canaryLabel: pod.Name}, pod.Labels)
		})
	}
}

// TestCanaryLeavesNoNotes: what Chaos Mesh keeps for the canary's pod goes with it, also where nobody collects garbage.
func TestCanaryLeavesNoNotes(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	require.NoError(t, r.runPrograms(here))
	noted := 0
	r.dyns.PrependReactor("create", networkChaos.Resource, func(a clienttesting.Action) (bool, runtime.Object, error) {
		experiment, _ := a.(clienttesting.CreateAction).GetObject().(*unstructured.Unstructured)
		if !strings.HasPrefix(experiment.GetName(), "canary-") {
			return false, nil, nil
		}
		note := &unstructured.Unstructured{}
		note.SetGroupVersionKind(groupVersion.WithKind("PodNetworkChaos"))
		note.SetName(experiment.GetName())
		note.SetNamespace(here)
		noted++
		return false, nil, r.dyns.Tracker().Create(podNetworkChaos, note, here)
	})
	found, err := r.find(t.Context(), here)
	require.NoError(t, err)
	require.NoError(t, found.Verify(t.Context()))
	require.Equal(t, 1, noted)
	left, err := r.dyns.Resource(podNetworkChaos).Namespace(here).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.Empty(t, left.Items)
}

func TestCanariesOfTheDeadAreRemoved(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	require.NoError(t, r.runPrograms(here))
	for name, age := range map[string]time.Duration{"canary-old": time.Hour, "canary-new": time.Minute} {
		require.NoError(t, r.fake.Tracker().Create(corev1.SchemeGroupVersion.WithResource("pods"), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: here, Labels: map[string]string{canaryLabel: name}, CreationTimestamp: metav1.NewTime(time.Now().Add(-age)),
		}}, here))
	}
	found, err := r.find(t.Context(), here)
	require.NoError(t, err)
	require.NoError(t, found.Verify(t.Context()))
	pods, err := r.fake.CoreV1().Pods(here).List(t.Context(), metav1.ListOptions{LabelSelector: canaryLabel})
	require.NoError(t, err)
	require.Len(t, pods.Items, 1)
	require.Equal(t, "canary-new", pods.Items[0].Name)
}

func TestUntil(t *testing.T) {
	t.Parallel()
	s := &site{clock: clock.RealClock{}, pace: pace{poll: time.Millisecond}}
	stop := errors.New("no")
	ctx, cancel := context.WithCancelCause(t.Context())

	tries := 0
	require.NoError(t, s.until(ctx, time.Minute, "x", func(context.Context) (string, error) {
		if tries++; tries < 3 {
			return "not yet", nil
		}
		return "", nil
	}))
	require.Equal(t, 3, tries)
	err := s.until(ctx, time.Minute, "x", func(context.Context) (string, error) { return "", stop })
	require.ErrorIs(t, err, stop)
	err = s.until(ctx, 3*time.Millisecond, "x", func(context.Context) (string, error) { return "that", nil })
	require.EqualError(t, err, "wait for x: not within 3ms: that")
	cancel(stop)
	err = s.until(ctx, time.Minute, "x", func(context.Context) (string, error) { return "that", nil })
	require.ErrorIs(t, err, stop)
}

func TestHelmWorksInTheNamespace(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	cfg, err := configureHelm(&rest.Config{Host: "https://127.0.0.1:1"}, "elsewhere", r.o.Log)
	require.NoError(t, err)
	g, ok := cfg.RESTClientGetter.(*getter)
	require.True(t, ok)
	namespace, _, err := g.ToRawKubeConfigLoader().Namespace()
	require.NoError(t, err)
	require.Equal(t, "elsewhere", namespace)
	config, err := g.ToRESTConfig()
	require.NoError(t, err)
	require.Equal(t, "https://127.0.0.1:1", config.Host)
}
