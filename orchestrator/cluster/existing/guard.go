package existing

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

// podSecurity is the label by which a namespace says what its pods may do.
const podSecurity = "pod-security.kubernetes.io/enforce"

// warden keeps a trial to what is its own, on every request that goes through the cluster's access: those of the harness, of
// faults, and of agents, which act as another user with the same credentials.
//
// In a namespace of the trial everything may be done. Objects without a namespace may be made, which are labelled then; changed
// and deleted may be only those that carry the label. Agents make none, and of nodes they may change, where the user has allowed
// it, whether they take pods. Reading is free: the filter in front of the agent hides what is not the trial's.
type warden struct {
	// base is the path of the API server's address.
	base    string
	owner   string
	dynamic dynamic.Interface
	cordons *cordons

	mu  sync.Mutex
	own map[string]bool // namespaces that were found to be the trial's
}

func newWarden(s *session) *warden {
	w := &warden{owner: s.owner, dynamic: s.dynamic, cordons: s.cordons, own: map[string]bool{}}
	if base, _, err := rest.DefaultServerUrlFor(s.rest); err == nil { // Clients were made with it before.
		w.base = strings.TrimSuffix(base.Path, "/")
	}
	return w
}

func (w *warden) wrap(next http.RoundTripper) http.RoundTripper { return &guard{w, next} }

// guard is a transport that asks the warden first.
type guard struct {
	warden *warden
	next   http.RoundTripper
}

// RoundTrip implements http.RoundTripper. A refusal is answered as the API server would.
func (g *guard) RoundTrip(r *http.Request) (*http.Response, error) {
	t, ok := parseTarget(r.Method, strings.TrimPrefix(r.URL.Path, g.warden.base))
	if !ok || !t.acts() || t.asks() {
		return g.next.RoundTrip(r)
	}
	out, why, err := g.warden.judge(r, t)
	if err == nil && why == "" {
		return g.next.RoundTrip(out)
	}
	if r.Body != nil {
		_ = r.Body.Close() // A transport closes the body of every request, also of one that it does not send.
	}
	if err != nil {
		return nil, fmt.Errorf("see whose %s is: %w", t, err)
	}
	return refusal(r, t, why)
}

// refusal is the API server's own answer to what is forbidden.
func refusal(r *http.Request, t target, why string) (*http.Response, error) {
	body, err := json.Marshal(metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Reason: metav1.StatusReasonForbidden,
		Code: http.StatusForbidden, Message: fmt.Sprintf("%s is forbidden: %s", t, why),
		Details: &metav1.StatusDetails{Name: t.name, Group: t.group, Kind: t.resource},
	})
	if err != nil {
		return nil, fmt.Errorf("encode refusal: %w", err)
	}
	return &http.Response{
		Status: "403 Forbidden", StatusCode: http.StatusForbidden, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: r,
	}, nil
}

// judge returns the request to send, or why none is. The error is for what cannot be told.
func (w *warden) judge(r *http.Request, t target) (out *http.Request, why string, err error) {
	if t.namespace != "" {
		return w.judgeNamespaced(r, t)
	}
	agent := r.Header.Get("Impersonate-User") != ""
	makes := !agent && t.subresource == ""
	switch {
	case t.name == "" && r.Method == http.MethodPost:
		return w.mayMake(r, t, makes)
	case t.name == "":
		return nil, "delete them by name", nil
	case t.group == "" && t.resource == "nodes":
		return w.judgeNode(r, t)
	}
	labels, err := w.labels(r.Context(), t)
	switch {
	case apierrors.IsNotFound(err) && r.Method != http.MethodDelete:
		return w.mayMake(r, t, makes) // An update and an apply make what is not there.
	case apierrors.IsNotFound(err):
		return r, "", nil // The API server says so.
	case err != nil:
		return nil, "", err
	case labels[OwnerLabel] != w.owner:
		return nil, "it is not of this exercise", nil
	case r.Method == http.MethodDelete:
		w.forget(t)
		return r, "", nil
	case t.subresource != "":
		return r, "", nil
	}
	return w.labelled(r, t)
}

// mayMake lets an object without a namespace be made, with the label.
func (w *warden) mayMake(r *http.Request, t target, makes bool) (*http.Request, string, error) {
	if !makes {
		return nil, "only what is in the namespaces of this exercise may be made", nil
	}
	return w.labelled(r, t)
}

// judgeNamespaced lets pass what is in a namespace of the trial, and Chaos Mesh's objects there that select nothing else.
func (w *warden) judgeNamespaced(r *http.Request, t target) (*http.Request, string, error) {
	own, err := w.owns(r.Context(), t.namespace)
	if err != nil {
		return nil, "", err
	}
	if !own {
		return nil, fmt.Sprintf("namespace %s is not of this exercise", t.namespace), nil
	}
	if t.group != chaosGroup || r.Body == nil || r.Method == http.MethodDelete {
		return r, "", nil
	}
	body, err := readBody(r)
	if err != nil {
		return nil, "", err
	}
	var doc any
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, "its body must be JSON", nil //nolint:nilerr // The client is told.
	}
	for _, ns := range selected(doc) {
		if own, err := w.owns(r.Context(), ns); err != nil || !own {
			return nil, fmt.Sprintf("it selects pods of namespace %s, which is not of this exercise", ns), err
		}
	}
	return withBody(r, body), "", nil
}

// judgeNode lets an agent cordon a node where that is allowed, and nobody anything else.
func (w *warden) judgeNode(r *http.Request, t target) (*http.Request, string, error) {
	const whole = "nodes are not of this exercise"
	if w.cordons == nil || r.Method != http.MethodPatch || t.subresource != "" || r.Body == nil {
		return nil, whole, nil
	}
	body, err := readBody(r)
	if err != nil {
		return nil, "", err
	}
	unschedulable, ok := readCordon(r.Header.Get("Content-Type"), body)
	if !ok {
		return nil, whole + "; they may be cordoned and uncordoned", nil
	}
	why, err := w.cordons.allow(r.Context(), t.name, unschedulable)
	if err != nil || why != "" {
		return nil, why, err
	}
	return withBody(r, body), "", nil
}

// owns is true for namespaces of the trial. One that does not exist is nobody's.
func (w *warden) owns(ctx context.Context, ns string) (bool, error) {
	w.mu.Lock()
	known := w.own[ns]
	w.mu.Unlock()
	if known {
		return true, nil
	}
	labels, err := w.labels(ctx, target{version: "v1", resource: "namespaces", name: ns})
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	own := labels[OwnerLabel] == w.owner
	if own {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.own[ns] = true
	}
	return own, nil
}

// forget drops what is known of a namespace that is being deleted: the next of that name may be somebody else's.
func (w *warden) forget(t target) {
	if t.group == "" && t.resource == "namespaces" {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.own, t.name)
	}
}

// labels reads the labels of an object without a namespace, with the context's own access.
func (w *warden) labels(ctx context.Context, t target) (map[string]string, error) {
	resource := schema.GroupVersionResource{Group: t.group, Version: t.version, Resource: t.resource}
	live, err := w.dynamic.Resource(resource).Get(ctx, t.name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return live.GetLabels(), nil
}

// labelled returns the request with the labels of the trial in its body, whatever it says about them.
func (w *warden) labelled(r *http.Request, t target) (*http.Request, string, error) {
	labels := map[string]string{OwnerLabel: w.owner, scopeLabel: scopeTrial}
	if t.group == "" && t.resource == "namespaces" {
		// No pod of a trial, and none that an agent makes, reaches into its node.
		labels[podSecurity] = "baseline"
	}
	if r.Body == nil {
		return nil, "it has no body", nil
	}
	body, err := readBody(r)
	if err != nil {
		return nil, "", err
	}
	body, refused := withLabels(r.Header.Get("Content-Type"), body, labels)
	if refused != nil { // The request is to blame, and told so.
		return nil, refused.Error(), nil //nolint:nilerr // See above.
	}
	return withBody(r, body), "", nil
}
