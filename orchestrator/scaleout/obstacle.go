package scaleout

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// pullPatience is how long the image of a new pod may not be found: a registry can have a bad minute.
const pullPatience = time.Minute

// obstacle is what keeps a pod from running.
type obstacle struct {
	text string
	// hopeless is true for what does not pass by waiting.
	hopeless bool
	// advice says what to do; empty for the general one.
	advice string
}

// String implements fmt.Stringer.
func (o obstacle) String() string { return o.text }

// hint is what to do about it on the cluster of a context.
func (o obstacle) hint(name string) string {
	if o.advice != "" {
		return o.advice
	}
	return fmt.Sprintf("see that its nodes are well and have room: kubectl --context %s get nodes", name)
}

const (
	imageAdvice   = "see that the nodes can pull from the --registry that is given, or use the context of a kind cluster of this machine, which is given the image"
	storageAdvice = "name a class of storage that makes volumes: --storage pvc:CLASS; see them with kubectl get storageclasses"
	roomAdvice    = "give the cluster nodes with room, or ask for less: --worker-resources cpu=1,memory=2Gi, --workers N"
)

// obstacle is what keeps a pod from running.
func (s *session) obstacle(pod *corev1.Pod) obstacle {
	return obstacleOf(pod, func() time.Duration {
		// The time of the API server is another one than ours: only how long we have seen it counts.
		now := s.Clock.Now()
		since, known := s.unpulled[pod.UID]
		if !known {
			since = now
			s.unpulled[pod.UID] = now
		}
		return now.Sub(since)
	})
}

// obstacleOf is what keeps a pod from running; the zero value where it runs, or only has to start. unpulled is asked for how long its
// image is missing where that is so.
func obstacleOf(pod *corev1.Pod, unpulled func() time.Duration) obstacle {
	if pod.Status.Phase != corev1.PodPending && pod.Status.Phase != "" {
		return obstacle{}
	}
	for _, c := range pod.Status.ContainerStatuses {
		waiting := c.State.Waiting
		if waiting == nil {
			continue
		}
		text := strings.TrimSuffix(waiting.Reason+": "+waiting.Message, ": ")
		switch waiting.Reason {
		case "InvalidImageName", "ErrImageNeverPull":
			return obstacle{text, true, imageAdvice}
		case "ErrImagePull", "ImagePullBackOff", "RegistryUnavailable":
			return obstacle{text, unpulled() > pullPatience, imageAdvice}
		case "ContainerCreating", "PodInitializing":
			continue
		}
		return obstacle{text: text}
	}
	for _, c := range pod.Status.Conditions {
		if c.Type != corev1.PodScheduled || c.Status != corev1.ConditionFalse {
			continue
		}
		if strings.Contains(strings.ToLower(c.Message), "persistentvolumeclaim") {
			return obstacle{text: c.Message, advice: storageAdvice}
		}
		return obstacle{text: strings.TrimSuffix(c.Reason+": "+c.Message, ": "), advice: roomAdvice}
	}
	return obstacle{}
}

// waiting is what keeps the workers from running.
func (s *session) waiting(ctx context.Context) obstacle {
	pending := false
	for i := range s.current {
		if o := s.obstacle(&s.current[i]); o.text != "" {
			return o
		}
		pending = pending || !terminal(&s.current[i])
	}
	if pending {
		return obstacle{text: "its pod has not begun"}
	}
	return s.noPod(ctx)
}

// noPod is why there is no pod: what the controllers say last that should have made one, for example that a quota is used up.
func (s *session) noPod(ctx context.Context) obstacle {
	none := obstacle{text: "it has no pod yet"}
	events, err := s.Cluster.Client.CoreV1().Events(s.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return none // It is an extra.
	}
	var last *corev1.Event
	for i := range events.Items {
		e := &events.Items[i]
		if e.Type == corev1.EventTypeWarning && (last == nil || at(e).After(at(last))) {
			last = e
		}
	}
	if last == nil {
		return none
	}
	return obstacle{text: none.text + ": " + strings.TrimSpace(last.Reason+": "+last.Message)}
}

// at is the time of an event, whichever kind of recorder has made it.
func at(e *corev1.Event) time.Time {
	if !e.LastTimestamp.IsZero() {
		return e.LastTimestamp.Time
	}
	if !e.EventTime.IsZero() {
		return e.EventTime.Time
	}
	return e.CreationTimestamp.Time
}
