package scaleout

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/gameday-bench/gameday/results"
)

func TestKeysOfTries(t *testing.T) {
	t.Parallel()
	for _, want := range []try{
		{0, 0, results.Graded, "workers-0-abcde"}, {12, 3, results.FaultNotLive, "w"}, {7, 0, results.Cancelled, "workers-7-x"},
	} {
		got, err := parseTry(want.key())
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	require.Equal(t, "tries/0/0-infra_error-p.tar.gz", try{0, 0, results.InfraError, "p"}.key())
	for _, key := range []string{
		"", "plan.json", "tries/0/0-graded-p", "tries/x/0-graded-p.tar.gz", "tries/0/x-graded-p.tar.gz", "tries/0/0-great-p.tar.gz", "tries/-1/0-graded-p.tar.gz",
		"tries/0-graded-p.tar.gz", "tries/0/0-graded.tar.gz",
	} {
		_, err := parseTry(key)
		require.ErrorContains(t, err, "want tries/INDEX/NUMBER-STATUS-POD.tar.gz", key)
	}
}

func TestIndexes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]int{"": nil, "0": {0}, "1,3-5,7": {1, 3, 4, 5, 7}} {
		got, err := parseIndexes(text)
		require.NoError(t, err)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{",", "a", "3-", "5-3", "-1", "0-4000000000"} {
		_, err := parseIndexes(text)
		require.ErrorContains(t, err, "parse completion indexes", text)
	}
}

func TestLedger(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		before int
		tries  []results.Status
		final  bool
	}{
		"nothing yet":            {0, nil, false},
		"graded":                 {0, []results.Status{results.Graded}, true},
		"the agent's failure":    {0, []results.Status{results.AgentError}, true},
		"cancelled":              {0, []results.Status{results.Cancelled}, false},
		"a retry is left":        {0, []results.Status{results.InfraError}, false},
		"no retry is left":       {0, []results.Status{results.InfraError, results.GraderError}, true},
		"it has failed before":   {1, []results.Status{results.FaultNotLive}, true},
		"cancelled in the retry": {0, []results.Status{results.InfraError, results.Cancelled}, false},
	} {
		l := ledger{failed: tc.before}
		for _, status := range tc.tries {
			l.add(status)
		}
		require.Equal(t, tc.final, l.final(1), name)
	}
}

func TestObstacles(t *testing.T) {
	t.Parallel()
	waits := func(reason, message string) corev1.PodStatus {
		return corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{
			State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}},
		}}}
	}
	unscheduled := func(message string) corev1.PodStatus {
		return corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: message,
		}}}
	}
	for name, tc := range map[string]struct {
		status   corev1.PodStatus
		unpulled time.Duration
		text     string
		hopeless bool
		hint     string
	}{
		"it runs":                {corev1.PodStatus{Phase: corev1.PodRunning}, time.Hour, "", false, ""},
		"it starts":              {waits("ContainerCreating", ""), time.Hour, "", false, ""},
		"no such image, at once": {waits("ErrImagePull", "not found"), time.Second, "ErrImagePull: not found", false, "--registry"},
		"no such image":          {waits("ImagePullBackOff", "not found"), time.Hour, "ImagePullBackOff: not found", true, "--registry"},
		"a bad reference":        {waits("InvalidImageName", ""), time.Second, "InvalidImageName", true, "--registry"},
		"something else":         {waits("CreateContainerConfigError", "no secret"), time.Hour, "CreateContainerConfigError: no secret", false, "get nodes"},
		"no room":                {unscheduled("0/3 nodes are available"), time.Hour, "Unschedulable: 0/3 nodes are available", false, "--worker-resources"},
		"no volume": {
			unscheduled("pod has unbound immediate PersistentVolumeClaims"), time.Hour, "pod has unbound immediate PersistentVolumeClaims", false, "--storage pvc:CLASS",
		},
	} {
		o := obstacleOf(&corev1.Pod{Status: tc.status}, func() time.Duration { return tc.unpulled })
		require.Equal(t, tc.text, o.String(), name)
		require.Equal(t, tc.hopeless, o.hopeless, name)
		require.Contains(t, o.hint("staging"), tc.hint, name)
	}
}
