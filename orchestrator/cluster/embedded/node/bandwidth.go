package node

import (
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/resource"
)

// The annotations that the container runtimes read for the CNI bandwidth plugin, in bits per second, and what they take for reasonable.
const (
	ingressAnnotation = "kubernetes.io/ingress-bandwidth" // to the pod.
	egressAnnotation  = "kubernetes.io/egress-bandwidth"  // from the pod.
	leastBandwidth    = 1_000
	mostBandwidth     = 1_000_000_000_000_000
)

// bandwidth reads a pod's limits in bytes per second; 0 means none. Its errors, which end in an event of the pod, are containerd's.
func bandwidth(annotations map[string]string) (ingress, egress uint64, err error) {
	if ingress, err = rateOf(annotations, ingressAnnotation); err == nil {
		egress, err = rateOf(annotations, egressAnnotation)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("get cni namespace options: reading pod bandwidth annotations: %w", err)
	}
	return ingress, egress, nil
}

func rateOf(annotations map[string]string, key string) (uint64, error) {
	text, ok := annotations[key]
	if !ok {
		return 0, nil
	}
	q, err := resource.ParseQuantity(text)
	if err != nil {
		return 0, err
	}
	switch bits := q.Value(); {
	case bits < leastBandwidth:
		return 0, errors.New("resource is unreasonably small (< 1kbit)")
	case bits > mostBandwidth:
		return 0, errors.New("resource is unreasonably large (> 1Pbit)")
	default:
		return uint64(bits) / bitsPerByte, nil
	}
}
