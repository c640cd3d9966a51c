package controlplane

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/utils/clock"
)

// TestCachesWakeUpTogether: timers of about a second that were set at different moments fire at the same ones, none later than it was meant to.
func TestCachesWakeUpTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fired := map[time.Time]int{}
		for offset := range 50 {
			time.Sleep(3 * time.Millisecond)
			asked := time.Second + time.Duration(offset)*5*time.Millisecond
			begin := time.Now()
			timer := gridClock{}.NewTimer(asked)
			for _, c := range []clock.Timer{timer, gridTimer{clock.RealClock{}.NewTimer(time.Hour)}} {
				c.Reset(asked)
				at := <-c.C()
				took := at.Sub(begin)
				require.LessOrEqual(t, took, asked)
				require.Greater(t, took, asked-bookmarkGrid)
				fired[at.Round(0)]++
				begin = time.Now()
			}
		}
		for at := range fired {
			require.True(t, at.Equal(at.Truncate(bookmarkGrid)), at.String())
		}
	})
}

func TestShortTimersStayAsTheyAre(t *testing.T) {
	require.Equal(t, 100*time.Millisecond, onGrid(time.Now(), 100*time.Millisecond))
}

func TestWhatIsNotCachedStaysSo(t *testing.T) {
	for _, c := range []struct {
		is, want generic.StorageDecorator
	}{{generic.UndecoratedStorage, generic.UndecoratedStorage}, {registry.StorageWithCacher(), cached}} {
		opts, err := together{generic.RESTOptions{Decorator: c.is, ResourcePrefix: "pods"}}.GetRESTOptions(schema.GroupResource{Resource: "pods"}, nil)
		require.NoError(t, err)
		require.True(t, isFunc(opts.Decorator, c.want))
		require.Equal(t, "pods", opts.ResourcePrefix)
	}
}
