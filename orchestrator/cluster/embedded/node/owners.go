package node

import (
	"context"
	"os"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	internalapi "k8s.io/cri-api/pkg/apis"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"
	"k8s.io/kubernetes/pkg/securitycontext"
	"k8s.io/utils/ptr"
)

// owners lets the kubelet run pods of other users where gameday is not root: the kubelet would give their volumes' files away, which
// only root can. So it sees copies without users and groups, and the container runtime, which can hold containers to a user
// without being root, gets them back. It never writes a pod's spec, so nobody else sees the copies.
type owners struct {
	privileged bool

	mu   sync.Mutex
	pods map[types.UID]*corev1.Pod // those that the kubelet has a copy of, as they are.
}

func newOwners() *owners { return &owners{privileged: os.Geteuid() == 0} }

// take returns what the kubelet gets of all pods of the node.
func (o *owners) take(pods []*corev1.Pod) []*corev1.Pod {
	if o.privileged {
		return pods
	}
	changed := map[types.UID]*corev1.Pod{}
	out := make([]*corev1.Pod, 0, len(pods))
	for _, p := range pods {
		c := unowned(p)
		if c != p {
			changed[p.UID] = p
		}
		out = append(out, c)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pods = changed
	return out
}

// unowned returns a pod without what an unprivileged kubelet cannot do, or the pod itself where there is nothing of it.
func unowned(pod *corev1.Pod) *corev1.Pod {
	out := pod.DeepCopy()
	changed := false
	podutil.VisitContainers(&out.Spec, podutil.AllContainers, func(c *corev1.Container, _ podutil.ContainerType) bool {
		sc := securitycontext.DetermineEffectiveSecurityContext(pod, c)
		if foreign(sc.RunAsUser) && ptr.Deref(sc.RunAsNonRoot, false) {
			// It holds, and could not be seen from the copy.
			if c.SecurityContext == nil {
				c.SecurityContext = &corev1.SecurityContext{}
			}
			c.SecurityContext.RunAsNonRoot, changed = ptr.To(false), true
		}
		if c.SecurityContext != nil && foreign(c.SecurityContext.RunAsUser) {
			c.SecurityContext.RunAsUser, changed = nil, true
		}
		return true
	})
	if sc := out.Spec.SecurityContext; sc != nil {
		changed = changed || sc.FSGroup != nil || foreign(sc.RunAsUser)
		sc.FSGroup = nil
		if foreign(sc.RunAsUser) {
			sc.RunAsUser = nil
		}
	}
	if !changed {
		return pod
	}
	return out
}

// foreign is true for a user to whom only root can give files.
func foreign(user *int64) bool { return user != nil && *user != 0 }

// runtime returns next, whose containers get back the users and groups that their pods ask for.
func (o *owners) runtime(next internalapi.RuntimeService) internalapi.RuntimeService {
	if o.privileged {
		return next
	}
	return owningRuntime{next, o}
}

type owningRuntime struct {
	internalapi.RuntimeService
	owners *owners
}

// CreateContainer implements internalapi.RuntimeService.
func (r owningRuntime) CreateContainer(ctx context.Context, sandbox string, config *runtimeapi.ContainerConfig, pod *runtimeapi.PodSandboxConfig) (string, error) {
	r.owners.restore(config, types.UID(pod.GetMetadata().GetUid()))
	return r.RuntimeService.CreateContainer(ctx, sandbox, config, pod)
}

// restore puts what the pod asks for into the configuration of one of its containers.
func (o *owners) restore(config *runtimeapi.ContainerConfig, uid types.UID) {
	o.mu.Lock()
	pod := o.pods[uid]
	o.mu.Unlock()
	sc := config.GetLinux().GetSecurityContext()
	if pod == nil || sc == nil {
		return
	}
	podutil.VisitContainers(&pod.Spec, podutil.AllContainers, func(c *corev1.Container, _ podutil.ContainerType) bool {
		if c.Name != config.GetMetadata().GetName() {
			return true
		}
		if user := securitycontext.DetermineEffectiveSecurityContext(pod, c).RunAsUser; foreign(user) {
			sc.RunAsUser = &runtimeapi.Int64Value{Value: *user}
		}
		return false
	})
	if pod.Spec.SecurityContext != nil && pod.Spec.SecurityContext.FSGroup != nil {
		sc.SupplementalGroups = append(sc.SupplementalGroups, *pod.Spec.SecurityContext.FSGroup)
	}
}
