package chaosmesh

import (
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"github.com/gameday-bench/gameday/internal/errs"
)

func TestUninstallEndsWhatHoldsOn(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		controllers bool // whether they run
		willing     bool // whether they let go when they are forced
		says        string
	}{
		"controllers recover when forced": {true, true, "forcing it"},
		"controllers never recover":       {true, false, "let go without recovery"},
		"controllers are gone":            {false, false, "let go without recovery"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Options{})
			ctx := t.Context()
			made, err := r.install(ctx)
			require.NoError(t, err)
			r.addObject(t, "stresschaos", "StressChaos", "n-1")
			r.hold("stresschaos", func() bool { return tc.willing })
			if !tc.controllers {
				r.stopControllers(t)
			}
			require.NoError(t, made.Uninstall(ctx))
			left, err := r.experiments(ctx)
			require.NoError(t, err)
			require.Empty(t, left)
			require.Zero(t, r.ownedDefinitions(t))
			require.Contains(t, r.log.String(), tc.says)
			require.Contains(t, r.log.String(), "StressChaos chaos-mesh/n-1")
		})
	}
}

// stopControllers leaves the Deployment with no pod that runs.
func (r *rig) stopControllers(t *testing.T) {
	t.Helper()
	client := r.fake.AppsV1().Deployments(here)
	d, err := client.Get(t.Context(), controllerName, metav1.GetOptions{})
	require.NoError(t, err)
	d.Status = appsv1.DeploymentStatus{}
	_, err = client.Update(t.Context(), d, metav1.UpdateOptions{})
	require.NoError(t, err)
}

func TestUninstallKeepsTheBooksUntilExperimentsAreRecovered(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"NetworkChaos": true, "PodChaos": true, "Schedule": true, "Workflow": true, "PhysicalMachineChaos": true,
		"PodNetworkChaos": false, "PodIOChaos": false, "PodHttpChaos": false, "WorkflowNode": false, "StatusCheck": false, "RemoteCluster": false,
	} {
		require.Equal(t, want, kind{name: name}.experiment(), name)
	}
}

func TestUninstallSaysWhatIsLeft(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	r.pace.gone = r.pace.patience
	made, err := r.install(t.Context())
	require.NoError(t, err)
	r.dyns.PrependReactor("delete", "customresourcedefinitions", func(a clienttesting.Action) (bool, runtime.Object, error) {
		if a.(clienttesting.DeleteAction).GetName() != "podchaos.chaos-mesh.org" {
			return false, nil, nil
		}
		return true, nil, apierrors.NewForbidden(definitionResource.GroupResource(), "podchaos.chaos-mesh.org", nil)
	})
	err = made.Uninstall(t.Context())
	require.ErrorContains(t, err, "podchaos.chaos-mesh.org")
	require.Equal(t, errs.Infra, errs.PartyOf(err))
	require.Contains(t, errs.HintOf(err), "helm -n chaos-mesh uninstall chaos-mesh")
	_, err = r.fake.CoreV1().Namespaces().Get(t.Context(), here, metav1.GetOptions{})
	require.True(t, apierrors.IsNotFound(err), "one part that fails does not keep the others")
}
