package kind

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/chaosmesh"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/cluster/record"
	"github.com/gameday-bench/gameday/orchestrator/preflight"
)

// find returns the check of a name.
func find(t *testing.T, checks []preflight.Check, name string) preflight.Check {
	t.Helper()
	for _, c := range checks {
		if c.Name == name {
			return c
		}
	}
	require.Fail(t, "no such check", "%s in %v", name, checks)
	return preflight.Check{}
}

func TestCheck(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare      func(t *testing.T, f *fakeDocker)
		provider     *Provider
		want         cluster.Spec
		clusters     int
		chart        error
		check        string
		ok, required bool
		detail, hint string
	}{
		"right":       {check: "container engine", ok: true, required: true, detail: "docker 27.0.3"},
		"found by us": {provider: &Provider{Engine: "docker"}, check: "container engine", ok: true, required: true, detail: "docker 27.0.3"},
		"no rights": {
			prepare: func(t *testing.T, f *fakeDocker) {
				t.Helper()
				f.write(t, "denied", "permission denied while trying to connect to the Docker daemon socket")
			},
			check: "container engine", required: true, detail: "run docker info: exit status 1: permission denied", hint: "usermod -aG docker",
		},
		"no daemon": {
			prepare: func(t *testing.T, f *fakeDocker) {
				t.Helper()
				f.write(t, "info", `{"ServerErrors":["Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?"]}`)
			},
			check: "container engine", required: true, detail: "Cannot connect to the Docker daemon", hint: "start docker",
		},
		"not installed": {
			provider: &Provider{Engine: "podman"}, check: "container engine", required: true, detail: "executable file not found", hint: "install podman",
		},
		"unknown": {
			provider: &Provider{Engine: "dokcer"}, check: "container engine", required: true, detail: `unknown container engine "dokcer"`, hint: `did you mean "docker"?`,
		},
		"old": {
			prepare: func(t *testing.T, f *fakeDocker) {
				t.Helper()
				f.write(t, "info", `{"ServerVersion":"19.03.15","CgroupVersion":"2"}`)
			},
			check: "container engine", required: true, detail: "docker 19.03.15 is too old, want 20.10 or later", hint: "install docker 20.10 or later",
		},
		"control groups": {check: "control groups", ok: true, required: true, detail: "version 2"},
		"old control groups": {
			prepare: func(t *testing.T, f *fakeDocker) {
				t.Helper()
				f.write(t, "info", `{"ServerVersion":"27.0.3","CgroupVersion":"1"}`)
			},
			check: "control groups", detail: "failCgroupV1: false", hint: "prefer version 2",
		},
		"old control groups without root": {
			prepare: func(t *testing.T, f *fakeDocker) {
				t.Helper()
				f.write(t, "info", `{"ServerVersion":"27.0.3","CgroupVersion":"1","SecurityOptions":["name=seccomp,profile=default","name=rootless"]}`)
			},
			check: "control groups", required: true, detail: "a rootless docker cannot limit", hint: "version 2",
		},
		"memory": {clusters: 100000, check: "memory", required: true, detail: "GiB available, want 217187.5 GiB", hint: "--concurrency"},
		"disk": {
			prepare: func(t *testing.T, f *fakeDocker) {
				t.Helper()
				f.write(t, "info", fmt.Sprintf(`{"ServerVersion":"27.0.3","CgroupVersion":"2","DockerRootDir":%q}`, f.dir))
			},
			clusters: 1 << 30, check: "disk", required: true, detail: "free, want", hint: "docker system prune",
		},
		"disk elsewhere": {check: "disk", detail: "it is not known how much room docker has", hint: "4.0 GiB"},
		"image":          {check: "node image", ok: true, required: true, detail: DefaultNodeImage},
		"no image": {
			prepare:  func(t *testing.T, f *fakeDocker) { t.Helper(); f.remove(t, "image") },
			provider: &Provider{NodeImage: "mine:1"}, check: "node image", detail: "mine:1 is not here yet", hint: "--node-image",
		},
		"name": {want: cluster.Spec{Name: "demo"}, check: "name", ok: true, required: true, detail: `"demo" is free`},
		"name of what was left": {
			prepare: func(t *testing.T, f *fakeDocker) { t.Helper(); f.container(t, ownPrefix()+"demo", "left", up) },
			want:    cluster.Spec{Name: "demo"}, check: "name", required: true, detail: "is taken by what a killed process left: left", hint: "gameday delete cluster demo",
		},
		"name of a cluster": {
			prepare: func(t *testing.T, _ *fakeDocker) {
				t.Helper()
				require.NoError(t, os.MkdirAll(filepath.Join(record.BaseDir(), "demo"), 0o700))
			},
			want: cluster.Spec{Name: "demo"}, check: "name", required: true, detail: "is taken by a cluster of kind embedded (stale)", hint: "choose another name",
		},
		"chart":    {check: "Chaos Mesh", ok: true, required: true, detail: "charts.chaos-mesh.org"},
		"no chart": {chart: errs.Hint(errors.New("download chart: no route"), "get it"), check: "Chaos Mesh", required: true, detail: "no route", hint: "get it"},
		"no archive of images": {
			provider: &Provider{Chaos: chaosmesh.Options{Images: "./chaos-mesh-images.tar"}},
			check:    "Chaos Mesh", required: true, detail: "no such archive: ./chaos-mesh-images.tar", hint: "--chaos-mesh-images",
		},
		"request": {want: cluster.Spec{Nodes: 99}, check: "request", required: true, detail: "99 nodes", hint: "from 1 to 50"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newDocker(t)
			if tc.prepare != nil {
				tc.prepare(t, f)
			}
			p := tc.provider
			if p == nil {
				p = &Provider{}
			}
			p.chart = func(context.Context, chaosmesh.Options) error { return tc.chart }
			got := find(t, p.Check(t.Context(), tc.want, tc.clusters), tc.check)
			require.Equal(t, tc.ok, got.OK, got.Detail)
			require.Equal(t, tc.required, got.Required)
			require.Contains(t, got.Detail, tc.detail)
			require.Contains(t, got.Hint, tc.hint)
		})
	}
}

func TestNoEngine(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	_, err := (&Provider{}).Up(t.Context(), cluster.Spec{})
	require.EqualError(t, err, "bring up kind cluster: find a container engine: none of docker, podman, nerdctl is in PATH")
	require.Equal(t, errs.Infra, errs.PartyOf(err))
	require.Contains(t, errs.HintOf(err), "--cluster embedded needs none")
}

// TestUpRefuses: what cannot work is found before anything is made.
func TestUpRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(t *testing.T, f *fakeDocker)
		want    cluster.Spec
		party   errs.Party
		err     string
	}{
		"an image that no registry has": {
			prepare: func(t *testing.T, f *fakeDocker) { t.Helper(); f.remove(t, "image") },
			party:   errs.Infra, err: "pull node image " + DefaultNodeImage,
		},
		"a name that is taken": {
			prepare: func(t *testing.T, f *fakeDocker) { t.Helper(); f.container(t, ownPrefix()+"demo", "left", up) },
			want:    cluster.Spec{Name: "demo"}, party: errs.Infra, err: `"demo" is taken`,
		},
		"nodes with sizes": {
			want:  cluster.Spec{NodeGroups: []cluster.NodeGroup{{CPU: "2", Devices: map[string]int{"a.b/c": 1}}}},
			party: errs.Usage, err: "asks for cpu and devices, which a node in a container cannot have",
		},
		"a name that is too long": {want: cluster.Spec{Name: strings.Repeat("x", 35)}, party: errs.Usage, err: "has 35 characters"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newDocker(t)
			if tc.prepare != nil {
				tc.prepare(t, f)
			}
			before := f.containers(t)
			c, err := (&Provider{}).Up(t.Context(), tc.want)
			require.ErrorContains(t, err, tc.err)
			require.Nil(t, c)
			require.Equal(t, tc.party, errs.PartyOf(err))
			require.NotEmpty(t, errs.HintOf(err))
			require.Equal(t, before, f.containers(t))
			require.False(t, f.has("network"))
			known, err := record.List()
			require.NoError(t, err)
			require.Empty(t, known)
		})
	}
}

// TestPrepare: an image that is not there is pulled, or is an error before anything is made.
func TestPrepare(t *testing.T) {
	f := newDocker(t)
	require.NoError(t, (&Provider{}).Prepare(t.Context(), cluster.Spec{}))
	f.remove(t, "image")
	err := (&Provider{}).Prepare(t.Context(), cluster.Spec{Name: "demo"})
	require.ErrorContains(t, err, "prepare kind clusters: pull node image "+DefaultNodeImage)
	require.Equal(t, errs.ExitEnvironment, errs.ExitCode(err))
	require.Contains(t, errs.HintOf(err), "--node-image")
	require.Empty(t, f.containers(t))
}

func TestCancelledUpLeavesNothing(t *testing.T) {
	f := newDocker(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	_, err := (&Provider{}).Up(ctx, cluster.Spec{})
	require.ErrorContains(t, err, "enough")
	require.Empty(t, f.containers(t))
	require.NoDirExists(t, record.BaseDir())
}

// TestUpThatFailsLeavesNothing: the fake engine does not run what kind wants to run in its containers.
func TestUpThatFailsLeavesNothing(t *testing.T) {
	f := newDocker(t)
	_, err := (&Provider{Engine: docker}).Up(t.Context(), cluster.Spec{Name: "demo", Nodes: 1})
	require.ErrorContains(t, err, "create nodes: ")
	require.Equal(t, errs.Infra, errs.PartyOf(err))
	require.Empty(t, f.containers(t))
	require.False(t, f.has("network"), "the network went with the last cluster")
	require.Contains(t, strings.Join(f.calls(t), "\n"), "network create --driver bridge --label dev.gameday.owner="+ownerTag())
	known, err := record.List()
	require.NoError(t, err)
	require.Empty(t, known)
}

func TestLeftIsFoundAndDeleted(t *testing.T) {
	f := newDocker(t)
	f.container(t, ownPrefix()+"b", "b-worker", up)
	f.container(t, ownPrefix()+"a", "a-control-plane", `{"Status":"paused","Paused":true}`)
	f.container(t, ownPrefix()+"a", "a-worker", up)
	f.container(t, "gameday-000000-theirs", "theirs", up)
	f.container(t, "kind", "kind-control-plane", up)
	f.write(t, "network", networkName()+"\n")
	left, err := Left(t.Context())
	require.NoError(t, err)
	require.Equal(t, []record.Info{
		{Name: "a", Kind: Kind, Engine: docker, Status: record.Stale}, {Name: "b", Kind: Kind, Engine: docker, Status: record.Stale},
	}, left)
	require.Equal(t, []string{"gameday-000000-theirs"}, Others(t.Context()))

	require.NoError(t, Delete(t.Context(), left[0]))
	require.Equal(t, []string{"b-worker", "kind-control-plane", "theirs"}, f.containers(t))
	require.Contains(t, f.calls(t), "unpause a-control-plane", "a frozen process does not die everywhere")
	require.True(t, f.has("network"), "somebody is in it")
	require.NoError(t, Delete(t.Context(), left[1]))
	require.Equal(t, []string{"kind-control-plane", "theirs"}, f.containers(t))
	require.False(t, f.has("network"))
	require.NoError(t, Delete(t.Context(), left[1]), "it is idempotent")
	require.NoError(t, Prune(t.Context()))
}

func TestContainersThatStayAreAnError(t *testing.T) {
	f := newDocker(t)
	f.container(t, ownPrefix()+"a", "a-worker", up)
	f.write(t, "stuck", "")
	err := Delete(t.Context(), record.Info{Name: "a", Kind: Kind, Engine: docker, Status: record.Stale})
	require.ErrorContains(t, err, "containers are left: a-worker")
	require.ErrorContains(t, err, "device or resource busy")
	require.Equal(t, errs.Infra, errs.PartyOf(err))
}

func TestSilentEngineIsSaid(t *testing.T) {
	newDocker(t)
	bin := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(bin, docker), []byte("#!/bin/sh\necho Cannot connect to the Docker daemon >&2\nexit 1\n"), 0o755))
	t.Setenv("PATH", bin)
	left, err := Left(t.Context())
	require.ErrorContains(t, err, "Cannot connect to the Docker daemon")
	require.Contains(t, errs.HintOf(err), "start docker")
	require.Empty(t, left)
	require.Empty(t, Others(t.Context()))
	require.NoError(t, Prune(t.Context()))
}

// TestLeaseKeepsTheNetwork: who wants to remove it does not, as long as a cluster uses it.
func TestLeaseKeepsTheNetwork(t *testing.T) {
	f := newDocker(t)
	e := engine{docker}
	one, err := e.joinNetwork(t.Context())
	require.NoError(t, err)
	two, err := e.joinNetwork(t.Context())
	require.NoError(t, err)
	require.Equal(t, networkName(), os.Getenv("KIND_EXPERIMENTAL_DOCKER_NETWORK"))
	one.end()
	one.end()
	require.NoError(t, e.pruneNetwork(t.Context()))
	require.True(t, f.has("network"))
	two.end()
	require.NoError(t, e.pruneNetwork(t.Context()))
	require.False(t, f.has("network"))

	t.Setenv("KIND_EXPERIMENTAL_DOCKER_NETWORK", "mine")
	none, err := e.joinNetwork(t.Context())
	require.NoError(t, err)
	require.Nil(t, none, "the user has chosen one")
	none.end()
}

func TestBoundedEndsWhatHangs(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	began := time.Now()
	err := bounded(ctx, "gameday-x-demo", []string{"gameday-x-demo-worker"}, func() error {
		cmd := exec.Command("/bin/sh", "-c", "while :; do sleep 0.05; done", "gameday-x-demo-worker")
		if err := cmd.Start(); err != nil {
			return err
		}
		cancel(errors.New("the time is up"))
		return cmd.Wait()
	})
	require.EqualError(t, err, "the time is up")
	require.Less(t, time.Since(began), strandLimit)
	require.ErrorContains(t, bounded(ctx, "x", nil, func() error { return nil }), "the time is up")
	require.NoError(t, bounded(t.Context(), "x", nil, func() error { return nil }))
}

func TestArgumentsOfACluster(t *testing.T) {
	t.Parallel()
	containers := []string{"gameday-x-demo-control-plane", "gameday-x-demo-worker"}
	for arg, want := range map[string]bool{
		"gameday-x-demo-worker": true, "label=io.x-k8s.kind.cluster=gameday-x-demo": true, "io.x-k8s.kind.cluster=gameday-x-demo": true,
		"gameday-x-demo-2-worker": false, "label=io.x-k8s.kind.cluster=gameday-x-demo-2": false, "exec": false, "": false,
	} {
		require.Equal(t, want, names(arg, "gameday-x-demo", containers), arg)
	}
}

func TestReference(t *testing.T) {
	t.Parallel()
	for image, want := range map[string]string{
		"kindest/node:v1": "docker.io/kindest/node:v1", "node:v1": "docker.io/library/node:v1", "kindest/node:v1@sha256:ab": "docker.io/kindest/node@sha256:ab",
		"localhost/node:v1": "localhost/node:v1", "registry.example:5000/node:v1@sha256:ab": "registry.example:5000/node@sha256:ab",
	} {
		require.Equal(t, want, engine{podman}.reference(image))
		require.Equal(t, image, engine{docker}.reference(image))
	}
}

func TestTooOld(t *testing.T) {
	t.Parallel()
	for have, want := range map[string]bool{
		"20.10.24+dfsg1": false, "20.9.1": true, "27.0.3-rc.1": false, "18.09": true, "": false, "from source": false,
	} {
		require.Equal(t, want, engine{docker}.tooOld(have), have)
	}
	require.True(t, engine{podman}.tooOld("3.4.4"))
	require.False(t, engine{podman}.tooOld("5.0.0-dev"))
}
