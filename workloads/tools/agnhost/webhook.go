package agnhost

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// review is an AdmissionReview of admission.k8s.io, v1 or v1beta1: the fields that the webhooks look at are the same in both.
type review struct {
	APIVersion string             `json:"apiVersion"`
	Kind       string             `json:"kind"`
	Request    *admissionRequest  `json:"request,omitempty"`
	Response   *admissionResponse `json:"response,omitempty"`
}

type admissionRequest struct {
	UID         string            `json:"uid"`
	Resource    map[string]string `json:"resource"`
	SubResource string            `json:"subResource"`
	Name        string            `json:"name"`
	Operation   string            `json:"operation"`
	Object      json.RawMessage   `json:"object"`
	OldObject   json.RawMessage   `json:"oldObject"`
}

type admissionResponse struct {
	UID       string          `json:"uid"`
	Allowed   bool            `json:"allowed"`
	Result    *responseStatus `json:"status,omitempty"`
	Patch     []byte          `json:"patch,omitempty"`
	PatchType string          `json:"patchType,omitempty"`
}

type responseStatus struct {
	Status  string `json:"status,omitempty"`
	Message string `json:"message,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Code    int    `json:"code,omitempty"`
}

// object is what the webhooks look at in the objects that they are asked about.
type object struct {
	Metadata struct {
		Name   string            `json:"name"`
		Labels map[string]string `json:"labels"`
	} `json:"metadata"`
	Data map[string]string `json:"data"`
	Spec struct {
		Containers     []struct{ Name string } `json:"containers"`
		InitContainers []struct{ Name string } `json:"initContainers"`
	} `json:"spec"`
	// Stdin and Container are those of PodAttachOptions.
	Stdin     bool   `json:"stdin"`
	Container string `json:"container"`
}

// admit decides about one request; the object has been decoded (the old one for a deletion).
type admit func(ctx context.Context, req *admissionRequest, o *object) *admissionResponse

// webhook is an HTTPS server of admission webhooks, one path each.
func webhook(ctx context.Context, a *app, args []string) error {
	f := newFlags("webhook")
	certFile := f.String("tls-cert-file", "", "certificate")
	keyFile := f.String("tls-private-key-file", "", "private key")
	port := f.Int("port", 443, "port")
	sidecar := f.String("sidecar-image", "", "image of the injected sidecar")
	if err := a.parse(f, args); err != nil {
		return err
	}
	config, err := a.keyPair(*certFile, *keyFile)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	for path, do := range map[string]admit{
		"/always-allow-delay-5s":    a.allowLate,
		"/always-deny":              denyAlways,
		"/add-label":                addLabel,
		"/pods":                     admitPods,
		"/pods/attach":              admitAttach,
		"/mutating-pods":            mutatePods,
		"/mutating-pods-sidecar":    addSidecar(*sidecar),
		"/configmaps":               admitData("configmap"),
		"/mutating-configmaps":      mutateData,
		"/custom-resource":          admitData("custom resource"),
		"/mutating-custom-resource": mutateData,
		"/crd":                      admitDefinition,
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) { a.review(w, r, do) })
	}
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	return a.serve(ctx, *port, mux, config)
}

// review answers one AdmissionReview.
func (a *app) review(w http.ResponseWriter, r *http.Request, do admit) {
	var in review
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Request == nil {
		http.Error(w, fmt.Sprintf("Request could not be decoded: %v", err), http.StatusBadRequest)
		return
	}
	raw, o := in.Request.Object, &object{}
	if in.Request.Operation == "DELETE" {
		raw = in.Request.OldObject
	}
	out := review{APIVersion: in.APIVersion, Kind: in.Kind}
	if err := decodeObject(raw, o); err != nil {
		out.Response = &admissionResponse{Result: &responseStatus{Message: err.Error()}}
	} else {
		out.Response = do(r.Context(), in.Request, o)
	}
	out.Response.UID = in.Request.UID
	if len(out.Response.Patch) > 0 {
		out.Response.PatchType = "JSONPatch"
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(out); err != nil {
		a.log.Printf("write answer: %v", err)
	}
}

// decodeObject leaves o empty for a request without an object, and its data for one whose data are not strings.
func decodeObject(raw json.RawMessage, o *object) error {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	err := json.Unmarshal(raw, o)
	if err != nil {
		return fmt.Errorf("decode object: %w", err)
	}
	return nil
}

// The label and the key by which the tests mark objects, and what they mark them with.
const (
	mark         = "webhook-e2e-test"
	disallowed   = "webhook-disallow"
	undeletable  = "webhook-nondeletable"
	waitForever  = "wait-forever"
	addedLabel   = "added-label"
	sidecarName  = "webhook-added-sidecar"
	addedInit    = "webhook-added-init-container"
	allowedDelay = 5 * time.Second
)

func (a *app) allowLate(ctx context.Context, _ *admissionRequest, _ *object) *admissionResponse {
	select {
	case <-ctx.Done():
	case <-a.sys.Clock.After(allowedDelay):
	}
	return &admissionResponse{Allowed: true, Result: &responseStatus{Message: "this webhook allows all requests"}}
}

func denyAlways(context.Context, *admissionRequest, *object) *admissionResponse {
	return &admissionResponse{Result: &responseStatus{Message: "this webhook denies all requests"}}
}

// addLabel gives every object the label added-label.
func addLabel(_ context.Context, _ *admissionRequest, o *object) *admissionResponse {
	out := &admissionResponse{Allowed: true}
	value, has := o.Metadata.Labels[addedLabel]
	switch {
	case len(o.Metadata.Labels) == 0:
		out.Patch = []byte(`[{"op":"add","path":"/metadata/labels","value":{"added-label":"yes"}}]`)
	case !has:
		out.Patch = []byte(`[{"op":"add","path":"/metadata/labels/added-label","value":"yes"}]`)
	case value != "yes":
		out.Patch = []byte(`[{"op":"replace","path":"/metadata/labels/added-label","value":"yes"}]`)
	}
	return out
}

// admitPods denies pods with an unwanted label or container name, and never answers for those that say so.
func admitPods(ctx context.Context, _ *admissionRequest, o *object) *admissionResponse {
	var reasons []string
	switch o.Metadata.Labels[mark] {
	case disallowed:
		reasons = append(reasons, "the pod contains unwanted label;")
	case waitForever:
		<-ctx.Done()
		reasons = append(reasons, "the pod response should not be sent;")
	}
	for _, c := range o.Spec.Containers {
		if strings.Contains(c.Name, disallowed) {
			reasons = append(reasons, "the pod contains unwanted container name;")
		}
	}
	if len(reasons) == 0 {
		return &admissionResponse{Allowed: true}
	}
	return &admissionResponse{Result: &responseStatus{Message: strings.Join(reasons, " ")}}
}

func admitAttach(_ context.Context, req *admissionRequest, o *object) *admissionResponse {
	if req.Name != "to-be-attached-pod" || !o.Stdin || o.Container != "container1" {
		return &admissionResponse{Allowed: true}
	}
	return &admissionResponse{Result: &responseStatus{Message: "attaching to pod 'to-be-attached-pod' is not allowed"}}
}

func has(list []struct{ Name string }, name string) bool {
	for _, c := range list {
		if c.Name == name {
			return true
		}
	}
	return false
}

func mutatePods(_ context.Context, _ *admissionRequest, o *object) *admissionResponse {
	out := &admissionResponse{Allowed: true}
	if o.Metadata.Name == "webhook-to-be-mutated" && !has(o.Spec.InitContainers, addedInit) {
		out.Patch = fmt.Appendf(nil, `[{"op":"add","path":"/spec/initContainers","value":[{"image":"webhook-added-image","name":%q,"resources":{}}]}]`, addedInit)
	}
	return out
}

func addSidecar(image string) admit {
	return func(_ context.Context, _ *admissionRequest, o *object) *admissionResponse {
		if image == "" {
			return &admissionResponse{Result: &responseStatus{
				Status: "Failure", Message: "No image specified by the sidecar-image parameter", Code: http.StatusInternalServerError,
			}}
		}
		out := &admissionResponse{Allowed: true}
		if !has(o.Spec.Containers, sidecarName) {
			out.Patch = fmt.Appendf(nil, `[{"op":"add","path":"/spec/containers/-","value":{"image":%q,"name":%q,"resources":{}}}]`, image, sidecarName)
		}
		return out
	}
}

// admitData denies objects of a kind whose data say so.
func admitData(kind string) admit {
	reasons := map[string][2]string{
		"configmap":       {"the configmap contains unwanted key and value", "the configmap cannot be deleted because it contains unwanted key and value"},
		"custom resource": {"the custom resource contains unwanted data", "the custom resource cannot be deleted because it contains unwanted key and value"},
	}[kind]
	return func(_ context.Context, req *admissionRequest, o *object) *admissionResponse {
		value, deletion := o.Data[mark], req.Operation == "DELETE"
		switch {
		case value == disallowed && (req.Operation == "CREATE" || req.Operation == "UPDATE"):
			return &admissionResponse{Result: &responseStatus{Reason: reasons[0]}}
		case value == undeletable && deletion:
			return &admissionResponse{Result: &responseStatus{Reason: reasons[1]}}
		}
		return &admissionResponse{Allowed: true}
	}
}

// mutateData adds one key per stage, so that two webhooks in a row can be told apart.
func mutateData(_ context.Context, _ *admissionRequest, o *object) *admissionResponse {
	out := &admissionResponse{Allowed: true}
	if o.Data["mutation-start"] == "yes" {
		out.Patch = []byte(`[{"op":"add","path":"/data/mutation-stage-1","value":"yes"}]`)
	}
	if o.Data["mutation-stage-1"] == "yes" {
		out.Patch = []byte(`[{"op":"add","path":"/data/mutation-stage-2","value":"yes"}]`)
	}
	return out
}

func admitDefinition(_ context.Context, _ *admissionRequest, o *object) *admissionResponse {
	if o.Metadata.Labels[mark] == disallowed {
		return &admissionResponse{Result: &responseStatus{Message: "the crd contains unwanted label"}}
	}
	return &admissionResponse{Allowed: true}
}
