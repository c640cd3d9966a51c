package controlplane

import (
	"reflect"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/cacher"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
)

// bookmarkGrid is at which multiples of time the watch caches send bookmarks. The API server has about a hundred of them, one for each resource, and each makes one a
// second in its own time: a hundred wake-ups. On the grid there are four.
const bookmarkGrid = 250 * time.Millisecond

// together makes the storage of an API server with watch caches that wake up at the same moments. What has no cache gets none.
type together struct{ generic.RESTOptionsGetter }

func (t together) GetRESTOptions(resource schema.GroupResource, example runtime.Object) (generic.RESTOptions, error) {
	opts, err := t.RESTOptionsGetter.GetRESTOptions(resource, example)
	if err == nil && !isFunc(opts.Decorator, generic.UndecoratedStorage) {
		opts.Decorator = cached
	}
	return opts, err
}

// isFunc reports whether two decorators are the same function.
func isFunc(a, b generic.StorageDecorator) bool {
	return reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer()
}

// cached is upstream's registry.StorageWithCacher with a clock of ours.
func cached(
	config *storagebackend.ConfigForResource, prefix string, keyFunc func(obj runtime.Object) (string, error), newFunc, newListFunc func() runtime.Object,
	getAttrs storage.AttrFunc, triggers storage.IndexerFuncs, indexers *cache.Indexers,
) (storage.Interface, factory.DestroyFunc, error) {
	raw, destroy, err := generic.NewRawStorage(config, newFunc, newListFunc, prefix)
	if err != nil {
		return raw, destroy, err
	}
	c, err := cacher.NewCacherFromConfig(cacher.Config{
		Storage: raw, Versioner: storage.APIObjectVersioner{}, GroupResource: config.GroupResource, EventsHistoryWindow: config.EventsHistoryWindow,
		ResourcePrefix: prefix, KeyFunc: keyFunc, NewFunc: newFunc, NewListFunc: newListFunc, GetAttrsFunc: getAttrs, IndexerFuncs: triggers,
		Indexers: indexers, Codec: config.Codec, Clock: gridClock{},
	})
	if err != nil {
		return nil, func() {}, err
	}
	delegator := cacher.NewCacheDelegator(c, raw)
	return delegator, sync.OnceFunc(func() {
		delegator.Stop()
		c.Stop()
		destroy()
	}), nil
}

// gridClock is the real clock, with timers that fire on the grid.
type gridClock struct{ clock.RealClock }

var _ clock.WithTicker = gridClock{}

func (c gridClock) NewTimer(d time.Duration) clock.Timer {
	return gridTimer{c.RealClock.NewTimer(onGrid(c.Now(), d))}
}

type gridTimer struct{ clock.Timer }

func (t gridTimer) Reset(d time.Duration) bool { return t.Timer.Reset(onGrid(time.Now(), d)) }

// onGrid is how long it takes from now to the last moment on the grid that is not after d. What is short stays as it is.
func onGrid(now time.Time, d time.Duration) time.Duration {
	if d < 2*bookmarkGrid {
		return d
	}
	return now.Add(d).Truncate(bookmarkGrid).Sub(now)
}
