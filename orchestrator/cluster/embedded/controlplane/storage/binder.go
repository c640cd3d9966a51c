package storage

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	kcmapp "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	kcmoptions "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	"k8s.io/kubernetes/pkg/controller/volume/persistentvolume"
	"k8s.io/kubernetes/pkg/volume"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

// BinderController is the controller of the controller manager that this package runs in its place. Upstream's, in this
// process, would delete hostPath volumes below /tmp of the real host.
const BinderController = "persistentvolume-binder-controller"

// binderUser is who the binder is elsewhere.
const binderUser = "system:serviceaccount:kube-system:persistent-volume-binder"

const hostPathPlugin = "kubernetes.io/host-path"

// newBinder is the controller manager's own binder with host paths kept inside the cluster's directory.
func newBinder(ctx context.Context, cluster *spec.Cluster, admin *rest.Config, factory informers.SharedInformerFactory) (*persistentvolume.PersistentVolumeController, error) {
	o, err := kcmoptions.NewKubeControllerManagerOptions()
	if err != nil {
		return nil, fmt.Errorf("build volume binder: %w", err)
	}
	settings := o.PersistentVolumeBinderController
	plugins, err := kcmapp.ProbeProvisionableRecyclableVolumePlugins(klog.FromContext(ctx), settings.VolumeConfiguration)
	if err != nil {
		return nil, fmt.Errorf("build volume binder: %w", err)
	}
	root := filepath.Join(cluster.NodeDir("control-plane"), "root")
	if err := os.MkdirAll(root, 0o750); err != nil {
		return nil, fmt.Errorf("make directory of the control plane: %w", err)
	}
	for i, p := range plugins {
		if p.GetPluginName() != hostPathPlugin {
			continue
		}
		recyclable, ok := p.(volume.RecyclableVolumePlugin)
		if !ok {
			return nil, fmt.Errorf("build volume binder: the plugin of host paths is a %T", p)
		}
		plugins[i] = hostPaths{recyclable, root}
	}
	user := rest.CopyConfig(admin)
	user.Impersonate = rest.ImpersonationConfig{UserName: binderUser}
	client, err := kubernetes.NewForConfig(user)
	if err != nil {
		return nil, fmt.Errorf("build volume binder: %w", err)
	}
	core := factory.Core().V1()
	binder, err := persistentvolume.NewController(ctx, persistentvolume.ControllerParameters{
		KubeClient: client, SyncPeriod: settings.PVClaimBinderSyncPeriod.Duration, VolumePlugins: plugins,
		VolumeInformer: core.PersistentVolumes(), ClaimInformer: core.PersistentVolumeClaims(), ClassInformer: factory.Storage().V1().StorageClasses(),
		PodInformer: core.Pods(), NodeInformer: core.Nodes(), EnableDynamicProvisioning: settings.VolumeConfiguration.EnableDynamicProvisioning,
	})
	if err != nil {
		return nil, fmt.Errorf("build volume binder: %w", err)
	}
	return binder, nil
}

// hostPaths is the plugin of hostPath volumes, whose deleter works in a directory that stands for the control plane's root.
type hostPaths struct {
	volume.RecyclableVolumePlugin
	root string
}

var _ volume.DeletableVolumePlugin = hostPaths{}

// NewDeleter returns what removes the volume of spec.
func (p hostPaths) NewDeleter(_ klog.Logger, spec *volume.Spec) (volume.Deleter, error) {
	if spec.PersistentVolume == nil || spec.PersistentVolume.Spec.HostPath == nil {
		return nil, fmt.Errorf("spec.PersistentVolumeSource.HostPath is nil")
	}
	return &pathDeleter{path: spec.PersistentVolume.Spec.HostPath.Path, root: p.root}, nil
}

// deletable is what upstream's deleter takes.
var deletable = regexp.MustCompile("/tmp/.+")

type pathDeleter struct {
	volume.MetricsNil
	path, root string
}

func (d *pathDeleter) GetPath() string { return d.path }

func (d *pathDeleter) Delete() error {
	if !deletable.MatchString(d.path) {
		return fmt.Errorf("host_path deleter only supports /tmp/.+ but received provided %s", d.path)
	}
	root, err := os.OpenRoot(d.root)
	if err != nil {
		return fmt.Errorf("delete %s: %w", d.path, err)
	}
	defer root.Close()
	return root.RemoveAll(strings.TrimPrefix(filepath.Join("/", d.path), "/"))
}
