package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"time"

	"go.opentelemetry.io/otel/trace"
	noopoteltrace "go.opentelemetry.io/otel/trace/noop"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/kubernetes"
	typedv1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/record"
	certutil "k8s.io/client-go/util/cert"
	kubeletapp "k8s.io/kubernetes/cmd/kubelet/app"
	"k8s.io/kubernetes/cmd/kubelet/app/options"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/capabilities"
	"k8s.io/kubernetes/pkg/kubelet"
	kubeletconfig "k8s.io/kubernetes/pkg/kubelet/apis/config"
	"k8s.io/kubernetes/pkg/kubelet/config"
	"k8s.io/kubernetes/pkg/kubelet/server"
	kubeletutil "k8s.io/kubernetes/pkg/kubelet/util"
	"k8s.io/kubernetes/pkg/util/oom"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/cri"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/network"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

// paths are the directories of one node.
type paths struct {
	kubelet, logs, links, host, runtime, accounts, resolvConf string
}

func pathsOf(cluster *spec.Cluster, name string) paths {
	dir := cluster.NodeDir(name)
	return paths{
		kubelet: filepath.Join(dir, "kubelet"), logs: filepath.Join(dir, "log", "pods"), links: filepath.Join(dir, "log", "containers"),
		host: filepath.Join(dir, "root"), runtime: filepath.Join(dir, "cri"), accounts: filepath.Join(dir, "accounts"),
		resolvConf: filepath.Join(dir, "resolv.conf"),
	}
}

// clients are the kubelet's connections to the API server.
type clients struct {
	main      *kubernetes.Clientset
	heartbeat *kubernetes.Clientset
	events    *typedv1.CoreV1Client
	// proxy is that of the service proxy, which goes on without the kubelet.
	proxy *kubernetes.Clientset
}

// Client rates: far above what a node needs, so that the client never delays a pod. The API server's own fairness rules.
const (
	clientQPS   = 500
	clientBurst = 1000
)

func newClients(cluster *spec.Cluster, name string, g *gate) (*clients, error) {
	cfg, err := clientcmd.BuildConfigFromFlags("", cluster.Kubeconfig(name))
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig of node %s: %w", name, err)
	}
	cfg.QPS, cfg.Burst = clientQPS, clientBurst
	cfg.ContentType = "application/vnd.kubernetes.protobuf"
	cfg.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	cfg.UserAgent = "kubelet"
	c := &clients{}
	if c.proxy, err = kubernetes.NewForConfig(cfg); err != nil {
		return nil, fmt.Errorf("make client of the service proxy of node %s: %w", name, err)
	}
	cfg.Wrap(g.transport)
	if c.main, err = kubernetes.NewForConfig(cfg); err != nil {
		return nil, fmt.Errorf("make client of node %s: %w", name, err)
	}
	if c.events, err = typedv1.NewForConfig(cfg); err != nil {
		return nil, fmt.Errorf("make event client of node %s: %w", name, err)
	}
	beat := rest.CopyConfig(cfg)
	beat.QPS = -1
	beat.Timeout = min(cluster.Timing.NodeStatusUpdate, time.Duration(cluster.Timing.NodeLeaseSeconds)*time.Second)
	if c.heartbeat, err = kubernetes.NewForConfig(beat); err != nil {
		return nil, fmt.Errorf("make heartbeat client of node %s: %w", name, err)
	}
	return c, nil
}

// kubeletConfig is the kubelet's configuration: upstream's defaults, the cluster's timing, and no cgroups.
func kubeletConfig(cluster *spec.Cluster, n spec.Node, p paths) (*kubeletconfig.KubeletConfiguration, error) {
	c, err := options.NewKubeletConfiguration()
	if err != nil {
		return nil, fmt.Errorf("make kubelet configuration: %w", err)
	}
	t := cluster.Timing
	every := func(d time.Duration) metav1.Duration { return metav1.Duration{Duration: d} }
	c.EnableServer, c.Address, c.Port, c.ReadOnlyPort = true, "127.0.0.1", int32(n.KubeletPort), 0
	c.TLSCertFile = filepath.Join(cluster.PKI(), "kubelet-"+n.Name+".crt")
	c.TLSPrivateKeyFile = filepath.Join(cluster.PKI(), "kubelet-"+n.Name+".key")
	c.Authentication.X509.ClientCAFile = filepath.Join(cluster.PKI(), "ca.crt")
	c.Authentication.Anonymous.Enabled, c.Authentication.Webhook.Enabled = false, true
	c.Authorization.Mode = kubeletconfig.KubeletAuthorizationModeWebhook
	c.ClusterDNS, c.ClusterDomain, c.ResolverConfig = []string{cluster.Network.DNS.String()}, cluster.Network.Domain, p.resolvConf
	c.MaxPods, c.PodLogsDir = n.MaxPods, p.logs
	c.StaticPodPath, c.StaticPodURL = "", ""
	c.NodeStatusUpdateFrequency, c.NodeLeaseDurationSeconds = every(t.NodeStatusUpdate), t.NodeLeaseSeconds
	c.SyncFrequency = every(t.PodSync)
	c.VolumeStatsAggPeriod = every(max(t.VolumeSync, time.Second))
	c.CrashLoopBackOff.MaxContainerRestartPeriod = &metav1.Duration{Duration: t.CrashBackoffMax}
	c.SerializeImagePulls, c.RegistryPullQPS, c.RegistryBurst = false, 0, 0
	c.CgroupsPerQOS, c.CgroupRoot, c.CgroupDriver, c.EnforceNodeAllocatable = false, "", "cgroupfs", nil
	c.FailSwapOn, c.FailCgroupV1, c.ProtectKernelDefaults, c.MakeIPTablesUtilChains = false, false, false, false
	c.CPUCFSQuota, c.LocalStorageCapacityIsolation = true, true
	// The host's own log directory and profiles are not the node's to show.
	c.EnableSystemLogHandler, c.EnableProfilingHandler, c.EnableDebugFlagsHandler = false, false, false
	c.EvictionHard = map[string]string{"memory.available": "100Mi", "nodefs.available": "5%", "nodefs.inodesFree": "5%", "imagefs.available": "5%"}
	maps.Copy(c.EvictionHard, n.EvictionHard)
	c.EvictionSoft, c.EvictionSoftGracePeriod = n.EvictionSoft, n.EvictionGrace
	c.PodPidsLimit = -1 // The container runtime sees to it.
	if fast(t) {
		c.EvictionPressureTransitionPeriod = every(fastPressureTransition)
		// The first back-off after a crash is 1 s instead of 10 s: an option of upstream's own.
		c.FeatureGates = map[string]bool{"ReduceDefaultCrashLoopBackOffDecay": true}
	}
	return c, nil
}

// In the fast profile a condition such as MemoryPressure stays for this long after its reason, and the kubelet looks at its
// thresholds this often; upstream's are 5 minutes and 10 s.
const (
	fastPressureTransition = 10 * time.Second
	fastEvictionMonitor    = 3 * time.Second
)

// fast reports whether the timing is shorter than upstream's.
func fast(t spec.Timing) bool { return t.CrashBackoffMax < time.Minute }

// kubeletNode is the kubelet and what it is made of.
type kubeletNode struct {
	cluster *spec.Cluster
	node    spec.Node
	paths   paths
	clients *clients
	runtime *cri.Runtime
	machine *machine
	gate    *gate
	owners  *owners
	manager *deviceManager // nil on a node without devices
	kubelet *kubelet.Kubelet
	devices devicePlugins
	disks   *accounts
	mounts  *mounter
	dial    dialFunc
	// traffic reads a sandbox's network counters.
	traffic func(sandboxID string) (network.Traffic, bool)
	// relists is the pace at which pods and containers are listed.
	relists *pace
}

// start starts the kubelet. It runs until the process ends: upstream's has no way to stop.
func (k *kubeletNode) start(ctx context.Context) error {
	cfg, err := kubeletConfig(k.cluster, k.node, k.paths)
	if err != nil {
		return err
	}
	if err := utilfeature.DefaultMutableFeatureGate.SetFromMap(cfg.FeatureGates); err != nil {
		return fmt.Errorf("set kubelet feature gates: %w", err)
	}
	capabilities.Initialize(capabilities.Capabilities{AllowPrivileged: true})
	kubelet.ContainerLogsDir = k.paths.links
	tlsOptions, err := servingTLS(cfg)
	if err != nil {
		return err
	}
	// The authority has been read; what would watch its file is not started, since the file never changes.
	auth, _, err := kubeletapp.BuildAuth(types.NodeName(k.node.Name), k.clients.main, *cfg)
	if err != nil {
		return fmt.Errorf("set up kubelet authentication: %w", err)
	}
	recorder := k.recorder(ctx)
	var tuneErr error
	deps := k.dependencies(recorder)
	deps.Auth, deps.TLSOptions = auth, tlsOptions
	deps.Options = []kubelet.Option{func(kl *kubelet.Kubelet) {
		tuneErr = errors.Join(tune(kl, k.cluster.Timing, k.dial, k.gate), watchShortage(kl, k.cluster.Timing, k.machine, k.runtime.Tasks),
			slacken(kl, k.cluster.Timing, k.relists))
	}}
	deps.PodConfig = config.NewPodConfig(config.PodConfigNotificationIncremental, recorder, deps.PodStartupLatencyTracker)
	feedPods(ctx, k.clients.main, k.gate, k.owners, k.node.Name, deps.PodConfig, k.relists.hurry)
	kl, err := k.build(ctx, cfg, deps)
	if err == nil {
		err = tuneErr
	}
	if err != nil {
		return fmt.Errorf("make kubelet: %w", err)
	}
	k.kubelet = kl
	kl.BirthCry()
	kl.StartGarbageCollection()
	go kl.Run(deps.PodConfig.Updates())
	go kl.ListenAndServe(ctx, cfg, tlsOptions, gatedAuth{auth, k.gate}, deps.TracerProvider)
	return nil
}

func (k *kubeletNode) build(ctx context.Context, cfg *kubeletconfig.KubeletConfiguration, deps *kubelet.Dependencies) (*kubelet.Kubelet, error) {
	f := options.NewKubeletFlags()
	return kubelet.NewMainKubelet(ctx, cfg, deps, &f.ContainerRuntimeOptions, k.node.Name, types.NodeName(k.node.Name),
		[]net.IP{k.node.Address.AsSlice()}, "embedded://"+k.cluster.Name+"/"+k.node.Name, "", "", k.paths.kubelet, k.paths.logs, "", "",
		true, taintsOf(k.node), nil, "", false, false, f.MinimumGCAge, f.MaxPerPodContainerCount, f.MaxContainerCount, k.node.Labels,
		cfg.NodeStatusMaxImages, false)
}

func (k *kubeletNode) dependencies(recorder record.EventRecorder) *kubelet.Dependencies {
	deps := &kubelet.Dependencies{
		KubeClient: k.clients.main, HeartbeatClient: k.clients.heartbeat, EventClient: k.clients.events,
		OnHeartbeatFailure:       func() {},
		RemoteRuntimeService:     gatedRuntime{k.owners.runtime(k.runtime), k.gate},
		RemoteImageService:       k.runtime.ImageService(),
		CAdvisorInterface:        newAdvisor(k.machine, k.runtime, k.cluster.NodeDir(k.node.Name), k.traffic),
		ContainerManager:         newContainerManager(k.machine, k.paths.kubelet, k.manager),
		OSInterface:              nodeOS{name: k.node.Name, logs: k.paths.links},
		VolumePlugins:            volumePlugins(nodeRoot(k.paths.host), k.disks),
		Mounter:                  k.mounts,
		HostUtil:                 &hostUtils{},
		Subpather:                subpather{},
		OOMAdjuster:              oom.NewFakeOOMAdjuster(), // Scores of the host's own out-of-memory killer need privilege.
		PodStartupLatencyTracker: kubeletutil.NewPodStartupLatencyTracker(), NodeStartupLatencyTracker: kubeletutil.NewNodeStartupLatencyTracker(),
	}
	// With any other recorder NewMainKubelet opens /dev/kmsg to watch for the host's out-of-memory kills, which fails
	// without privilege and is not the node's business. It asks for a tracer right after that: then the real one comes.
	deps.Recorder = &record.FakeRecorder{}
	deps.TracerProvider = &hookedTracer{TracerProvider: noopoteltrace.NewTracerProvider(), hook: func() { deps.Recorder = recorder }}
	return deps
}

// hookedTracer calls hook whenever a tracer is asked for.
type hookedTracer struct {
	trace.TracerProvider
	hook func()
}

func (t *hookedTracer) Tracer(name string, opts ...trace.TracerOption) trace.Tracer {
	t.hook()
	return t.TracerProvider.Tracer(name, opts...)
}

func (k *kubeletNode) recorder(ctx context.Context) record.EventRecorder {
	b := record.NewBroadcaster(record.WithContext(ctx))
	b.StartRecordingToSink(&typedv1.EventSinkImpl{Interface: k.clients.events.Events("")})
	return b.NewRecorder(legacyscheme.Scheme, corev1.EventSource{Component: server.ComponentKubelet, Host: k.node.Name})
}

// servingTLS is the kubelet's certificate. It is loaded here, and not named, because the kubelet would watch the files.
func servingTLS(cfg *kubeletconfig.KubeletConfiguration) (*server.TLSOptions, error) {
	pool, err := certutil.NewPool(cfg.Authentication.X509.ClientCAFile)
	if err != nil {
		return nil, fmt.Errorf("read client CA: %w", err)
	}
	pair, err := tls.LoadX509KeyPair(cfg.TLSCertFile, cfg.TLSPrivateKeyFile)
	if err != nil {
		return nil, fmt.Errorf("read serving certificate: %w", err)
	}
	return &server.TLSOptions{Config: &tls.Config{
		MinVersion: tls.VersionTLS12, ClientCAs: pool, ClientAuth: tls.RequestClientCert, Certificates: []tls.Certificate{pair},
	}}, nil
}
