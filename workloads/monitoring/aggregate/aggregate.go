// Package aggregate makes the API servers that extend a cluster's own: those behind an APIService.
//
// It is what k8s.io/apiserver's options do for an add-on server, with a pod's Sys in the place of the operating system: the
// access to the API server is given, and so is the listener. Who asks is established by the API server's front proxy
// certificate, a client certificate or a token; what they may do, the API server is asked.
package aggregate

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/endpoints/openapi"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/apiserver/pkg/util/compatibility"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	certutil "k8s.io/client-go/util/cert"
	"k8s.io/klog/v2"
	openapicommon "k8s.io/kube-openapi/pkg/common"

	"github.com/gameday-bench/gameday/workloads/program"
)

// protobuf is the content type that built-in types travel in.
const protobuf = "application/vnd.kubernetes.protobuf"

// Options describe one API server.
type Options struct {
	// Title and Version are what the OpenAPI document calls the API.
	Title, Version string
	// Rest is the access to the cluster's API server: who the server asks as.
	Rest *rest.Config
	// Listener is where it serves; the server closes it.
	Listener net.Listener
	// Hosts are the names and addresses that its self-signed certificate is for; the first is its common name.
	Hosts  []string
	Scheme *runtime.Scheme
	Codecs serializer.CodecFactory
	// Definitions are the OpenAPI models of all types that the API has.
	Definitions openapicommon.GetOpenAPIDefinitions
}

// NewConfig returns the configuration of a server that authenticates and authorizes as add-on API servers do. It reads the
// cluster's authentication settings once before it returns, and follows them when the server runs.
func NewConfig(ctx context.Context, o Options) (*genericapiserver.Config, error) {
	access := rest.CopyConfig(o.Rest)
	access.ContentType = protobuf
	client, err := kubernetes.NewForConfig(access)
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	c := genericapiserver.NewConfig(o.Codecs)
	c.EffectiveVersion = compatibility.DefaultBuildEffectiveVersion()
	c.EnableProfiling, c.EnableMetrics = false, false
	if err := serveOn(c, o); err != nil {
		return nil, err
	}
	if err := Delegate(ctx, c, client); err != nil {
		return nil, err
	}
	if o.Definitions != nil {
		namer := openapi.NewDefinitionNamer(o.Scheme)
		c.OpenAPIConfig = genericapiserver.DefaultOpenAPIConfig(o.Definitions, namer)
		c.OpenAPIV3Config = genericapiserver.DefaultOpenAPIV3Config(o.Definitions, namer)
		c.OpenAPIConfig.Info.Title, c.OpenAPIConfig.Info.Version = o.Title, o.Version
		c.OpenAPIV3Config.Info.Title, c.OpenAPIV3Config.Info.Version = o.Title, o.Version
	}
	return c, nil
}

// serveOn sets the listener and a certificate made for this run.
func serveOn(c *genericapiserver.Config, o Options) error {
	if len(o.Hosts) == 0 {
		return fmt.Errorf("make serving certificate: no host is named")
	}
	cert, key, err := certutil.GenerateSelfSignedCertKey(o.Hosts[0], nil, o.Hosts[1:])
	if err != nil {
		return fmt.Errorf("make serving certificate: %w", err)
	}
	content, err := dynamiccertificates.NewStaticCertKeyContent("serving", cert, key)
	if err != nil {
		return fmt.Errorf("make serving certificate: %w", err)
	}
	c.SecureServing = &genericapiserver.SecureServingInfo{Listener: o.Listener, Cert: content}
	// Nothing calls the server from within: it has no hooks that use its own API.
	c.LoopbackClientConfig = &rest.Config{Host: "https://" + o.Listener.Addr().String(), TLSClientConfig: rest.TLSClientConfig{CAData: cert}}
	return nil
}

// LogTo sends what Kubernetes' libraries say to the program's own log.
func LogTo(sys *program.Sys) *slog.Logger {
	log := slog.New(slog.NewTextHandler(sys.Stderr, nil))
	klog.SetSlogLogger(log)
	return log
}

// StartTimeout is how long a server waits for the API server when it starts, before it gives up and is restarted.
const StartTimeout = time.Minute
