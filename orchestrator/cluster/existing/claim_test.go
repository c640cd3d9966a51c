package existing

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/clock"
)

// TestAClaimThatFailsLeavesNothing: a namespace without its Lease would look like a killed run's.
func TestAClaimThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	kube := fake.NewClientset()
	kube.PrependReactor("create", "leases", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, errors.New("no room")
	})
	_, err := take(t.Context(), kube, "run-1", clock.RealClock{}, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "claim the cluster: no room")
	_, err = kube.CoreV1().Namespaces().Get(t.Context(), Home, metav1.GetOptions{})
	require.True(t, apierrors.IsNotFound(err))
}
