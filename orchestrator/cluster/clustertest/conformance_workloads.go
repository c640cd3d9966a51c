package clustertest

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gameday-bench/gameday/orchestrator/cluster"
)

// application is a server of two replicas behind a Service, and a client with a shell.
const application = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: web
          image: "${server}"
          args: [netexec]
          readinessProbe: {httpGet: {path: /hostName, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: v1
kind: Pod
metadata: {name: client, labels: {app: client}}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: client, image: "${shell}", command: [sh, -c, "sleep 100000"]}]
`

// loadImage: an image that no registry has runs on every node, once it was loaded.
func (s *suite) loadImage(t *testing.T) {
	loader, ok := s.cluster.(cluster.ImageLoader)
	if !ok {
		t.Skip("no capability ImageLoader: nodes have the images of the program binaries")
	}
	require.NotNil(t, s.o.Archive, "the suite has to know how an archive is made")
	archive, ref := s.o.Archive(t)
	r := s.fixture.Rig(t)
	const pod = `
apiVersion: v1
kind: Pod
metadata: {name: %s}
spec:
  terminationGracePeriodSeconds: 0
  nodeName: %s
  containers: [{name: main, image: "%s", imagePullPolicy: Never, command: [sh, -c, "sleep 100000"]}]
`
	workers := s.workers(r)
	r.Apply(fmt.Sprintf(pod, "before", workers[0], ref))
	r.Pod("before", "has no image", func(p *corev1.Pod) bool {
		for _, c := range p.Status.ContainerStatuses {
			if c.State.Waiting != nil && c.State.Waiting.Reason == "ErrImageNeverPull" {
				return true
			}
		}
		return false
	})
	require.Error(t, loader.LoadImages(t.Context(), filepath.Join(t.TempDir(), "missing.tar")))
	require.NoError(t, loader.LoadImages(t.Context(), archive))
	require.NoError(t, loader.LoadImages(t.Context(), archive), "the second time")
	for i, node := range workers {
		name := fmt.Sprintf("after-%d", i)
		r.Apply(fmt.Sprintf(pod, name, node, ref))
		r.Running(name)
		require.Equal(t, "loaded", r.OK(name, "echo loaded"))
	}
}

// workloads: an application comes up, and everything that people and faults do to it works.
func (s *suite) workloads(t *testing.T) {
	r := s.fixture.Rig(t)
	deployed := t.Run("deploy", func(t *testing.T) { s.deploy(r.With(t)) })
	if !deployed {
		t.Fatal("without the application there is nothing to try the rest on")
	}
	for _, part := range []struct {
		name string
		run  func(*Rig)
	}{
		{"exec", s.exec}, {"logs", s.logs}, {"port-forward", s.portForward}, {"volume", s.volume}, {"absent", s.absent},
		{"pod-kill", s.podKill}, {"partition", s.partition}, {"delay", s.delay},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(r.With(t)) })
	}
}

// deploy: pods start, a Service leads to all of them, and its name resolves.
func (s *suite) deploy(r *Rig) {
	r.Apply(s.manifest(application))
	r.Available("web")
	r.Running("client")
	seen := map[string]bool{}
	r.Eventually("both replicas answer through the Service", func() (bool, string) {
		out, code := r.Sh("client", "curl -s -m 3 http://web/hostName")
		if code == 0 && strings.HasPrefix(out, "web-") {
			seen[strings.TrimSpace(out)] = true
		}
		return len(seen) == 2, fmt.Sprintf("exit code %d: %s; so far %v", code, out, seen)
	})
}

// exec: a command has its output, its exit code and its pod's environment.
func (s *suite) exec(r *Rig) {
	require.Equal(r.T, "42", r.OK("client", "echo $((6*7))"))
	require.Equal(r.T, "kept", r.OK("client", "echo kept > /tmp/file && cat /tmp/file"))
	require.NotEmpty(r.T, r.OK("client", "echo $KUBERNETES_SERVICE_HOST"))
	out, code := r.Sh("client", "echo wrong >&2; exit 3")
	require.Equal(r.T, 3, code)
	require.Equal(r.T, "wrong\n", out)
}

// logs: both streams of a container are in its log, also that of one that has ended.
func (s *suite) logs(r *Rig) {
	r.Apply(s.manifest(`
apiVersion: v1
kind: Pod
metadata: {name: talker}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: "${shell}", command: [sh, -c, "echo said; echo complained >&2; exit 1"]}]
`))
	r.Pod("talker", "has ended and started again", func(p *corev1.Pod) bool {
		return len(p.Status.ContainerStatuses) == 1 && p.Status.ContainerStatuses[0].RestartCount > 0
	})
	r.Eventually("the log of the container that has ended is there", func() (bool, string) {
		data, err := r.Kube.CoreV1().Pods(r.Namespace).GetLogs("talker", &corev1.PodLogOptions{Previous: true}).DoRaw(r.T.Context())
		text := string(data)
		return err == nil && strings.Contains(text, "said\n") && strings.Contains(text, "complained\n"), fmt.Sprint(text, err)
	})
}

// portForward: a port of a pod answers on this machine.
func (s *suite) portForward(r *Rig) {
	pod := r.ReadyPods("app=web")[0]
	address := r.Forward(pod.Name, 8080)
	require.Equal(r.T, pod.Name, strings.TrimSpace(r.Fetch("http://"+address+"/hostName")))
}

// absent: where a Service and a pod have been, nobody answers any more; least of all somebody outside of the cluster, to whom packets without a
// destination might be routed. A provider that refuses such packets has to do so also where nobody outside would answer.
func (s *suite) absent(r *Rig) {
	r.Apply(s.manifest(`
apiVersion: v1
kind: Service
metadata: {name: former}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: v1
kind: Pod
metadata: {name: former}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: "${server}", args: [netexec]}]
`))
	pod := r.Running("former")
	service, err := r.Kube.CoreV1().Services(r.Namespace).Get(r.T.Context(), "former", metav1.GetOptions{})
	require.NoError(r.T, err)
	// Who answers at each address. It is looked at, for somebody else could, too.
	addresses := map[string]string{service.Spec.ClusterIP + ":80": "web-", pod.Status.PodIP + ":8080": "former"}
	seconds := 3
	if s.o.Refuses { // Linux tells one sender once in two seconds that there is no route, so a connection may take 7 s to learn of it.
		seconds = 10
	}
	ask := func(at string) (string, int) {
		return r.Sh("client", fmt.Sprintf("curl -s -m %d http://%s/hostName", seconds, at))
	}
	for at, host := range addresses {
		r.Eventually(host+" answers at "+at, func() (bool, string) {
			out, code := ask(at)
			return code == 0 && strings.HasPrefix(out, host), fmt.Sprintf("exit code %d: %s", code, out)
		})
	}
	require.NoError(r.T, r.Kube.CoreV1().Services(r.Namespace).Delete(r.T.Context(), "former", metav1.DeleteOptions{}))
	r.DeletePod("former")
	for at := range addresses {
		const notConnected = 7 // curl's exit code, which is another one where the time is over.
		silent := 0
		r.Eventually("nobody answers at "+at+" any more", func() (bool, string) {
			out, code := ask(at)
			if silent++; code == 0 || s.o.Refuses && code != notConnected {
				silent = 0
			}
			return silent == 3, fmt.Sprintf("exit code %d: %s; silent %d times in a row", code, out, silent)
		})
	}
}

// volume: a claim without a class is bound, and what one pod writes the next one reads.
func (s *suite) volume(r *Rig) {
	r.Apply(`
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec:
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 16Mi}}
`)
	const keeper = `
apiVersion: v1
kind: Pod
metadata: {name: keeper}
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - name: main
      image: "${shell}"
      command: [sh, -c, "sleep 100000"]
      volumeMounts: [{name: data, mountPath: /data}]
  volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
`
	r.Apply(s.manifest(keeper))
	r.Running("keeper")
	r.OK("keeper", "echo kept > /data/file")
	r.DeletePod("keeper")
	r.Apply(s.manifest(keeper))
	r.Running("keeper")
	require.Equal(r.T, "kept", r.OK("keeper", "cat /data/file"))
}
