package controller

import (
	"context"
	"crypto/tls"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	networkinglisters "k8s.io/client-go/listers/networking/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"

	"github.com/gameday-bench/gameday/workloads/monitoring/kubeclient"
)

// objects is what a table is made from.
type objects interface {
	// service returns nil where there is none.
	service(namespace, name string) *corev1.Service
	slices(namespace, service string) []*discoveryv1.EndpointSlice
	certificate(namespace, secret string) (*tls.Certificate, error)
}

// syncTimeout is how long the first lists may take before the program gives up and is restarted.
const syncTimeout = time.Minute

// batch is how long the controller waits for more changes before it makes a new table.
const batch = 50 * time.Millisecond

// store holds the objects of the cluster.
type store struct {
	ingresses networkinglisters.IngressLister
	classes   networkinglisters.IngressClassLister
	services  corelisters.ServiceLister
	endpoints discoverylisters.EndpointSliceLister
	secrets   corelisters.SecretLister
	// pairs are the certificates that have been read, by the Secret's identity.
	pairs map[string]*tls.Certificate
	// changed is sent to when anything has.
	changed chan struct{}
}

var _ objects = (*store)(nil)

func (s *store) service(namespace, name string) *corev1.Service {
	svc, err := s.services.Services(namespace).Get(name)
	if err != nil {
		return nil
	}
	return svc
}

func (s *store) slices(namespace, service string) []*discoveryv1.EndpointSlice {
	// Listing a cache fails for a bad selector only.
	list, _ := s.endpoints.EndpointSlices(namespace).List(labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: service}))
	return list
}

func (s *store) certificate(namespace, name string) (*tls.Certificate, error) {
	secret, err := s.secrets.Secrets(namespace).Get(name)
	if err != nil {
		return nil, fmt.Errorf("read secret %s/%s: %w", namespace, name, err)
	}
	key := fmt.Sprintf("%s/%s", secret.UID, secret.ResourceVersion)
	if known := s.pairs[key]; known != nil && secret.UID != "" {
		return known, nil
	}
	pair, err := keyPair(secret)
	if err != nil {
		return nil, err
	}
	s.pairs[key] = pair
	return pair, nil
}

// Watch lists everything, makes the first table, and follows changes until ctx ends.
func (c *Controller) Watch(ctx context.Context) error {
	namespace := informers.WithNamespace(c.WatchNamespace)
	transform := informers.WithTransform(kubeclient.Slim)
	all := informers.NewSharedInformerFactoryWithOptions(c.Client, 0, namespace, transform)
	// Tokens and Helm's releases are large and of no use here.
	secrets := informers.NewSharedInformerFactoryWithOptions(c.Client, 0, namespace, transform,
		informers.WithTweakListOptions(func(o *metav1.ListOptions) {
			o.FieldSelector = "type!=helm.sh/release.v1,type!=kubernetes.io/service-account-token"
		}))
	s := &store{
		ingresses: all.Networking().V1().Ingresses().Lister(), classes: all.Networking().V1().IngressClasses().Lister(),
		services: all.Core().V1().Services().Lister(), endpoints: all.Discovery().V1().EndpointSlices().Lister(),
		secrets: secrets.Core().V1().Secrets().Lister(), pairs: map[string]*tls.Certificate{}, changed: make(chan struct{}, 1),
	}
	c.store = s
	broadcaster := record.NewBroadcaster(record.WithContext(ctx))
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: c.Client.CoreV1().Events("")})
	c.events = broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "nginx-ingress-controller"})
	for _, i := range []cache.SharedIndexInformer{
		all.Networking().V1().Ingresses().Informer(), all.Networking().V1().IngressClasses().Informer(), all.Core().V1().Services().Informer(),
		all.Discovery().V1().EndpointSlices().Informer(), secrets.Core().V1().Secrets().Informer(),
	} {
		if _, err := i.AddEventHandler(s); err != nil {
			return fmt.Errorf("watch objects: %w", err)
		}
	}
	listed, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	for _, f := range []informers.SharedInformerFactory{all, secrets} {
		f.Start(ctx.Done())
		for kind, ok := range f.WaitForCacheSync(listed.Done()) {
			if !ok {
				return fmt.Errorf("list objects: no answer for %s", kind)
			}
		}
	}
	c.reload(ctx)
	go c.follow(ctx)
	return nil
}

// OnAdd implements cache.ResourceEventHandler.
func (s *store) OnAdd(any, bool) { s.touch() }

// OnUpdate implements cache.ResourceEventHandler.
func (s *store) OnUpdate(any, any) { s.touch() }

// OnDelete implements cache.ResourceEventHandler.
func (s *store) OnDelete(any) { s.touch() }

func (s *store) touch() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// follow makes a new table whenever something has changed.
func (c *Controller) follow(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.store.changed:
		}
		select {
		case <-ctx.Done():
			return
		case <-c.Clock.After(batch):
		}
		c.reload(ctx)
	}
}

// reload makes a table of what is there now and serves from it.
func (c *Controller) reload(ctx context.Context) {
	// Listing a cache fails for a bad selector only.
	all, _ := c.store.ingresses.List(labels.Everything())
	var ours []*networkingv1.Ingress
	for _, ing := range all {
		if c.owns(ing) {
			ours = append(ours, ing)
		}
	}
	fallback := c.fallback
	if namespace, name, ok := strings.Cut(c.DefaultCertificate, "/"); ok {
		if own, err := c.store.certificate(namespace, name); err != nil {
			c.Log.Warn("default certificate is not usable", "err", err)
		} else {
			fallback = own
		}
	}
	t, complaints := build(c.store, ours, fallback, c.DefaultBackend)
	c.table.Store(t)
	c.tell(ours, complaints)
	rejected := false
	for _, p := range complaints {
		rejected = rejected || p.reason == rejectedReason
	}
	c.metrics.reloaded(t, c.Clock.Now(), !rejected)
	c.publish(ctx, ours)
}

// owns is true for an Ingress of the controller's class.
func (c *Controller) owns(ing *networkingv1.Ingress) bool {
	if name := ing.Spec.IngressClassName; name != nil {
		class, err := c.store.classes.Get(*name)
		return err == nil && class.Spec.Controller == c.ControllerClass
	}
	if name, ok := ing.Annotations["kubernetes.io/ingress.class"]; ok {
		return name == c.Class
	}
	return c.WithoutClass
}

// tell writes events about new versions of Ingresses, and what is wrong with them, once each.
func (c *Controller) tell(ours []*networkingv1.Ingress, complaints []complaint) {
	told := map[string]bool{}
	once := func(ing *networkingv1.Ingress, kind, reason, message string) {
		key := fmt.Sprintf("%s/%s/%d %s %s", ing.Namespace, ing.Name, ing.Generation, ing.UID, message)
		told[key] = true
		if c.told[key] {
			return
		}
		c.events.Event(ing, kind, reason, message)
		if kind == corev1.EventTypeWarning {
			c.Log.Warn("ingress is not served as it is written", "ingress", ing.Namespace+"/"+ing.Name, "reason", message)
		}
	}
	for _, ing := range ours {
		once(ing, corev1.EventTypeNormal, "Sync", "Scheduled for sync")
	}
	for _, p := range complaints {
		once(p.ingress, corev1.EventTypeWarning, p.reason, p.message)
	}
	c.told = told
}
