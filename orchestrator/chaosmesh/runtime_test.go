package chaosmesh

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/gameday-bench/gameday/internal/errs"
)

// nodeWith is a node with a runtime and a kubelet's version.
func nodeWith(name, runtime, kubelet string) corev1.Node {
	n := node(name)
	n.Status.NodeInfo.ContainerRuntimeVersion, n.Status.NodeInfo.KubeletVersion = runtime, kubelet
	return *n
}

func TestRuntimeOfTheNodes(t *testing.T) {
	t.Parallel()
	windows := nodeWith("w", "containerd://1.7", "v1.35.4")
	windows.Labels[corev1.LabelOSStable] = "windows"
	containerd, docker := nodeWith("c", "containerd://2.1.4", "v1.35.4"), nodeWith("d", "docker://27.0", "v1.34.0")
	for name, tc := range map[string]struct {
		nodes  []corev1.Node
		given  Options
		want   nodeRuntime
		errors string
		party  errs.Party
	}{
		"containerd": {nodes: []corev1.Node{containerd, containerd}, want: nodeRuntime{"containerd", "/run/containerd/containerd.sock"}},
		"cri-o":      {nodes: []corev1.Node{nodeWith("o", "cri-o://1.34.1", "v1.34.0")}, want: nodeRuntime{"crio", "/var/run/crio/crio.sock"}},
		"docker":     {nodes: []corev1.Node{docker}, want: nodeRuntime{"docker", "/var/run/docker.sock"}},
		"k3s": {
			nodes: []corev1.Node{nodeWith("k", "containerd://2.1.4-k3s1", "v1.34.1+k3s1")},
			want:  nodeRuntime{"containerd", "/run/k3s/containerd/containerd.sock"},
		},
		"k0s":              {nodes: []corev1.Node{nodeWith("k", "containerd://1.7.27", "v1.33.1+k0s")}, want: nodeRuntime{"containerd", "/run/k0s/containerd.sock"}},
		"Windows is left":  {nodes: []corev1.Node{docker, windows}, want: nodeRuntime{"docker", "/var/run/docker.sock"}},
		"different ones":   {nodes: []corev1.Node{docker, containerd}, errors: "containerd at /run/containerd/containerd.sock (c), docker at /var/run/docker.sock (d)", party: errs.Infra},
		"different places": {nodes: []corev1.Node{containerd, nodeWith("k", "containerd://2.1.4-k3s1", "v1.34.1+k3s1")}, errors: "different container runtimes", party: errs.Infra},
		"unknown":          {nodes: []corev1.Node{nodeWith("u", "rkt://1", "v1.35.4")}, errors: `node u has the container runtime "rkt://1"`, party: errs.Infra},
		"none":             {errors: "no Linux node", party: errs.Infra},
		"given": {
			nodes: []corev1.Node{docker, containerd}, given: Options{Runtime: "crio", Socket: "/x.sock"}, want: nodeRuntime{"crio", "/x.sock"},
		},
		"socket given":      {nodes: []corev1.Node{containerd}, given: Options{Socket: "/x.sock"}, want: nodeRuntime{"containerd", "/x.sock"}},
		"not theirs":        {nodes: []corev1.Node{containerd}, given: Options{Runtime: "docker"}, errors: "the nodes have containerd", party: errs.Usage},
		"no runtime at all": {nodes: []corev1.Node{containerd}, given: Options{Runtime: "rkt"}, errors: `"rkt" is not known`, party: errs.Usage},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := tc.given.runtimeOf(tc.nodes)
			if tc.errors != "" {
				require.ErrorContains(t, err, tc.errors)
				require.Equal(t, tc.party, errs.PartyOf(err))
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.want, got)
		})
	}
}

func TestPauseImageThatEveryNodeHas(t *testing.T) {
	t.Parallel()
	with := func(names ...string) corev1.Node {
		n := node("n")
		n.Status.Images = []corev1.ContainerImage{{Names: names}}
		return *n
	}
	require.Equal(t, "registry.k8s.io/pause:3.10.1", pauseImage([]corev1.Node{with("registry.k8s.io/pause:3.10.1", "registry.k8s.io/pause@sha256:12")}))
	require.Equal(t, "a/pause:2", pauseImage([]corev1.Node{with("a/pause:1", "a/pause:2"), with("a/pause:2", "b/pause:3")}))
	require.Equal(t, fallbackPause, pauseImage([]corev1.Node{with("a/pause:1"), with("b/pause:3")}))
	require.Equal(t, fallbackPause, pauseImage([]corev1.Node{with("a/pause-not:1")}))
	require.Equal(t, fallbackPause, pauseImage(nil))
}

func TestImages(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]images{
		"":                                {},
		"registry.example.com":            {registry: "registry.example.com"},
		"registry.example.com/a/b":        {registry: "registry.example.com/a/b"},
		"registry.example.com/a/b:v2.8.4": {registry: "registry.example.com/a/b", tag: "v2.8.4"},
		"registry.example.com:v2.8.4":     {registry: "registry.example.com", tag: "v2.8.4"},
		"localhost:5000":                  {registry: "localhost:5000"},
		"localhost:5000:7":                {registry: "localhost:5000", tag: "7"},
		"localhost:5000/a":                {registry: "localhost:5000/a"},
		"localhost:5000/a:7":              {registry: "localhost:5000/a", tag: "7"},
	} {
		got, err := parseImages(given)
		require.NoError(t, err, given)
		require.Equal(t, want, got, given)
	}
	for _, bad := range []string{"/", "a/", "/a", ":v1", "a/:v1", "a/b:", "https://registry.example.com", "a@sha256:00", "a b", "./images.tar", "images.tar", "mirror/images.tgz"} {
		_, err := parseImages(bad)
		require.Error(t, err, bad)
		require.Equal(t, errs.Usage, errs.PartyOf(err), bad)
		require.NotEmpty(t, errs.HintOf(err))
	}
}
