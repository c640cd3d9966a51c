package storage

import (
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	typedv1 "k8s.io/client-go/kubernetes/typed/core/v1"
)

// podName stands where the library would put the host's own name into its events: elsewhere it runs in a pod of this name.
const podName = "local-path-provisioner-7dc846544d-8kx2n"

// named is a client whose events name the provisioner and not the host that it runs on.
type named struct{ kubernetes.Interface }

func (n named) CoreV1() typedv1.CoreV1Interface { return namedCore{n.Interface.CoreV1()} }

type namedCore struct{ typedv1.CoreV1Interface }

func (c namedCore) Events(namespace string) typedv1.EventInterface {
	return namedEvents{c.CoreV1Interface.Events(namespace)}
}

type namedEvents struct{ typedv1.EventInterface }

// CreateWithEventNamespace and UpdateWithEventNamespace are what the library's sink of events calls.
func (e namedEvents) CreateWithEventNamespace(event *corev1.Event) (*corev1.Event, error) {
	return e.CreateWithEventNamespaceWithContext(context.Background(), renamed(event))
}

func (e namedEvents) UpdateWithEventNamespace(event *corev1.Event) (*corev1.Event, error) {
	return e.UpdateWithEventNamespaceWithContext(context.Background(), renamed(event))
}

// renamed replaces the host's name in provisioner_host_uuid.
func renamed(event *corev1.Event) *corev1.Event {
	name, ok := strings.CutPrefix(event.Source.Component, Provisioner+"_")
	if !ok {
		return event
	}
	out := event.DeepCopy()
	out.Source.Component = Provisioner + "_" + podName + name[strings.LastIndex(name, "_"):]
	out.ReportingController = out.Source.Component
	return out
}
