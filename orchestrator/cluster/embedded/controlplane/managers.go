package controlplane

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/rest"
	kcmapp "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	kcmoptions "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	schedulerapp "k8s.io/kubernetes/cmd/kube-scheduler/app"
	scheduleroptions "k8s.io/kubernetes/cmd/kube-scheduler/app/options"
	"k8s.io/kubernetes/pkg/controller/volume/attachdetach"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/controlplane/flags"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/controlplane/storage"
)

// protobuf is the content type that built-in types travel in.
const protobuf = "application/vnd.kubernetes.protobuf"

// startControllers starts kube-controller-manager. It returns as soon as the configuration is accepted; that the
// controllers work shows in what they create.
func (p *plane) startControllers(ctx context.Context, admin *rest.Config) error {
	o, err := p.controllerOptions()
	if err != nil {
		return fmt.Errorf("build kube-controller-manager: %w", err)
	}
	config, err := o.Config(ctx, kcmapp.KnownControllers(), kcmapp.ControllersDisabledByDefault(), kcmapp.ControllerAliases())
	if err != nil {
		return fmt.Errorf("build kube-controller-manager: %w", err)
	}
	// The controller manager looks at /healthz once a second, so it must not look too early.
	if err := waitPath(ctx, admin, "/healthz"); err != nil {
		return err
	}
	p.mark("apiserver healthy")
	attachdetach.DefaultTimerConfig.ReconcilerLoopPeriod = attachPeriod
	p.background(ctx, "kube-controller-manager", func() error { return kcmapp.Run(ctx, config.Complete()) })
	return nil
}

// attachPeriod is how often the controller manager looks whether a volume has to be attached to a node. No volume here has to; upstream looks ten times a second.
const attachPeriod = time.Second

// rolesReady answers when the bootstrap roles exist.
const rolesReady = "/readyz/poststarthook/rbac/bootstrap-roles"

// controllerOptions are kubeadm's settings with the cluster's timing.
func (p *plane) controllerOptions() (*kcmoptions.KubeControllerManagerOptions, error) {
	o, err := kcmoptions.NewKubeControllerManagerOptions()
	if err != nil {
		return nil, err
	}
	c, t := p.spec, p.spec.Timing
	pki := func(name string) string { return filepath.Join(c.PKI(), name) }

	o.Generic.ClientConnection.Kubeconfig = c.Kubeconfig("controller-manager")
	o.Generic.ClientConnection.ContentType = protobuf
	o.Generic.ClientConnection.QPS = flags.InternalQPS
	o.Generic.ClientConnection.Burst = flags.InternalBurst
	o.Generic.LeaderElection.LeaderElect = false
	// Tokens of the time before 1.24 do not exist here; the signers run beside the controller manager, see startSigners.
	o.Generic.Controllers = []string{"*", "-legacy-serviceaccount-token-cleaner-controller", "-" + signingController, "-" + storage.BinderController}
	o.SecureServing.BindPort = 0

	o.KubeCloudShared.ClusterName = c.Name
	o.KubeCloudShared.UseServiceAccountCredentials = true
	// The spec says which node has which pod addresses, see assignPodCIDRs.
	o.KubeCloudShared.AllocateNodeCIDRs = false
	o.KubeCloudShared.ClusterCIDR = c.Network.PodCIDR.String()
	o.KubeCloudShared.NodeMonitorPeriod.Duration = t.NodeMonitorPeriod
	o.NodeLifecycleController.NodeMonitorGracePeriod.Duration = t.NodeMonitorGrace
	o.HPAController.HorizontalPodAutoscalerSyncPeriod.Duration = t.HPASync
	// The autoscaler's other periods are so many of these. They count from a pod's start and from the last need.
	o.HPAController.HorizontalPodAutoscalerDownscaleStabilizationWindow.Duration = 20 * t.HPASync
	o.HPAController.HorizontalPodAutoscalerCPUInitializationPeriod.Duration = 20 * t.HPASync
	o.HPAController.HorizontalPodAutoscalerInitialReadinessDelay.Duration = 2 * t.HPASync
	o.EndpointController.EndpointUpdatesBatchPeriod.Duration = t.EndpointBatch
	o.EndpointSliceController.EndpointUpdatesBatchPeriod.Duration = t.EndpointBatch
	o.EndpointSliceMirroringController.MirroringEndpointUpdatesBatchPeriod.Duration = t.EndpointBatch

	// Upstream's is a directory of the host, and the controller manager makes it.
	o.PersistentVolumeBinderController.VolumeConfiguration.FlexVolumePluginDir = filepath.Join(c.Dir, "flexvolume")
	o.SAController.ServiceAccountKeyFile = pki("sa.key")
	o.SAController.RootCAFile = pki("ca.crt")
	return o, nil
}

// startScheduler starts kube-scheduler and returns when its caches are filled.
func (p *plane) startScheduler(ctx context.Context, admin *rest.Config) error {
	o := scheduleroptions.NewOptions()
	o.ConfigFile = flags.SchedulerConfig(p.spec)
	o.SecureServing.BindPort = 0
	if err := os.WriteFile(o.ConfigFile, []byte(flags.Scheduler(p.spec)), 0o600); err != nil {
		return fmt.Errorf("write scheduler configuration: %w", err)
	}
	config, scheduler, err := schedulerapp.Setup(ctx, o)
	if err != nil {
		return fmt.Errorf("build kube-scheduler: %w", err)
	}
	// Before the bootstrap roles exist it may read nothing, and client-go waits long after a refusal.
	if err := waitPath(ctx, admin, rolesReady); err != nil {
		return err
	}
	p.background(ctx, "kube-scheduler", func() error { return schedulerapp.Run(ctx, config, scheduler) })
	if err := scheduler.WaitForHandlersSync(ctx); err != nil {
		return fmt.Errorf("wait for kube-scheduler's caches: %w", err)
	}
	p.mark("scheduler")
	return nil
}
