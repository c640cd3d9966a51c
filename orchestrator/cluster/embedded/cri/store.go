package cri

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// store keeps the records of sandboxes and containers, one file each, so that a node that crashed finds them again.
type store struct {
	dir string
	// changed is called after each change of the records; nil is not.
	changed func()
}

type record struct {
	Kind      string         `json:"kind"`
	ID        string         `json:"id"`
	SandboxID string         `json:"sandboxID,omitempty"`
	Config    []byte         `json:"config"`
	Handler   string         `json:"handler,omitempty"`
	IP        string         `json:"ip,omitempty"`
	Image     string         `json:"image,omitempty"`
	CreatedAt int64          `json:"createdAt"`
	State     containerState `json:"state"`
}

func (s *store) saveSandbox(p *sandboxPod) error {
	config, err := proto.Marshal(p.config)
	if err != nil {
		return fmt.Errorf("encode sandbox record: %w", err)
	}
	return s.write(record{Kind: "sandbox", ID: p.id, Config: config, Handler: p.handler, IP: p.ip, CreatedAt: p.createdAt})
}

func (s *store) saveContainer(c *container, st containerState) error {
	config, err := proto.Marshal(c.config)
	if err != nil {
		return fmt.Errorf("encode container record: %w", err)
	}
	return s.write(record{
		Kind: "container", ID: c.id, SandboxID: c.sandbox.id, Config: config,
		Image: c.image.Ref(), CreatedAt: c.createdAt, State: st,
	})
}

func (s *store) write(rec record) error {
	data, err := json.Marshal(rec)
	if err != nil {
		return fmt.Errorf("encode record: %w", err)
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return fmt.Errorf("make record directory: %w", err)
	}
	path := filepath.Join(s.dir, rec.ID+".json")
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	s.tell()
	return nil
}

func (s *store) remove(id string) {
	_ = os.Remove(filepath.Join(s.dir, id+".json"))
	s.tell()
}

// tell says that what a listing shows has changed: the records hold all of it.
func (s *store) tell() {
	if s.changed != nil {
		s.changed()
	}
}

func (s *store) load() ([]record, error) {
	entries, err := os.ReadDir(s.dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read records: %w", err)
	}
	var out []record
	for _, e := range entries {
		path := filepath.Join(s.dir, e.Name())
		data, err := os.ReadFile(path)
		var rec record
		if err != nil || !strings.HasSuffix(e.Name(), ".json") || json.Unmarshal(data, &rec) != nil {
			_ = os.Remove(path) // A half-written record describes nothing that ran.
			continue
		}
		out = append(out, rec)
	}
	return out, nil
}

// unknownExitCode is what containerd reports for a container whose end it did not see.
const unknownExitCode = 255

// takeOver reads the records of an earlier run. Its processes are dead (the kernel killed them with their parent), its
// pods are off the network: sandboxes are not ready, containers that ran have ended in an unknown way.
func (r *Runtime) takeOver() error {
	recs, err := r.store.load()
	if err != nil {
		return err
	}
	for _, rec := range recs {
		if rec.Kind != "sandbox" {
			continue
		}
		config := &runtimeapi.PodSandboxConfig{}
		if err := proto.Unmarshal(rec.Config, config); err != nil {
			return fmt.Errorf("decode sandbox record %s: %w", rec.ID, err)
		}
		r.sandboxes[rec.ID] = &sandboxPod{
			id: rec.ID, config: config, handler: rec.Handler, createdAt: rec.CreatedAt, ip: rec.IP,
			dir: filepath.Join(r.cfg.Dir, "sandboxes", rec.ID),
		}
	}
	for _, rec := range recs {
		if rec.Kind != "container" {
			continue
		}
		if err := r.takeOverContainer(rec); err != nil {
			return err
		}
	}
	return nil
}

func (r *Runtime) takeOverContainer(rec record) error {
	s, ok := r.sandboxes[rec.SandboxID]
	if !ok {
		r.store.remove(rec.ID)
		return os.RemoveAll(r.containerDir(rec.ID))
	}
	config := &runtimeapi.ContainerConfig{}
	if err := proto.Unmarshal(rec.Config, config); err != nil {
		return fmt.Errorf("decode container record %s: %w", rec.ID, err)
	}
	img, _ := r.images.find(rec.Image)
	c := r.newContainer(rec.ID, s, config, img, rec.CreatedAt)
	c.st = rec.State
	if c.st.State != runtimeapi.ContainerState_CONTAINER_EXITED {
		c.st.State = runtimeapi.ContainerState_CONTAINER_EXITED
		c.st.ExitCode, c.st.Reason = unknownExitCode, "Unknown"
		c.st.FinishedAt = r.clock.Now().UnixNano()
		if err := r.store.saveContainer(c, c.st); err != nil {
			return err
		}
	}
	close(c.exited)
	r.containers[rec.ID] = c
	return nil
}
