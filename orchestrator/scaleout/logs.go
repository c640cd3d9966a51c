package scaleout

import (
	"context"
	"errors"
	"io"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// logBytes and logLines bound what is kept of the log of a pod whose trial is given up.
const (
	logBytes = 256 << 10
	logLines = 2000
)

// logOf is the end of what the pod has printed; nothing where that is gone.
func (s *session) logOf(ctx context.Context, pod string) []byte {
	// The server's own limit of bytes would keep the beginning of these lines.
	stream, err := s.Cluster.Client.CoreV1().Pods(s.namespace).GetLogs(pod, &corev1.PodLogOptions{Container: container, TailLines: ptr.To(int64(logLines))}).Stream(ctx)
	if err != nil {
		s.Log.Info("the log of a pod cannot be read", "pod", pod, "error", err)
		return nil
	}
	defer stream.Close()
	data, err := tail(stream, logBytes)
	if err != nil {
		s.Log.Info("the log of a pod cannot be read to its end", "pod", pod, "error", err)
	}
	return data
}

// tail reads r to its end and returns the last limit bytes of it; after an error, those before it.
func tail(r io.Reader, limit int) ([]byte, error) {
	var kept []byte
	buffer := make([]byte, 32<<10)
	for {
		n, err := r.Read(buffer)
		kept = append(kept, buffer[:n]...)
		if len(kept) > 2*limit || err != nil {
			kept = kept[:copy(kept, kept[max(len(kept)-limit, 0):])]
		}
		if errors.Is(err, io.EOF) {
			return kept, nil
		}
		if err != nil {
			return kept, err
		}
	}
}
