package main

import (
	"encoding/json"
	"errors"
	"slices"

	"golang.org/x/sys/unix"
)

// capabilities are their names, in the order of their numbers.
var capabilities = []string{
	"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE",
	"NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT",
	"SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE",
	"AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ",
	"PERFMON", "BPF", "CHECKPOINT_RESTORE",
}

// limits are what this process can pass on.
type limits struct {
	// lacks are the capabilities that it cannot, as a request names them.
	lacks []string
	// score is the lowest score it may give, or anything where it may give every score.
	score *int
}

// ownLimits are those of this process.
func ownLimits() (limits, error) {
	var out limits
	for number, name := range capabilities {
		// A capability that the kernel does not know is an error: nobody has it.
		if has, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(number), 0, 0, 0); err != nil || has == 0 {
			out.lacks = append(out.lacks, "CAP_"+name)
		}
	}
	if slices.Contains(out.lacks, "CAP_SYS_RESOURCE") {
		score, err := ownScore()
		if err != nil {
			return limits{}, err
		}
		out.score = &score
	}
	return out, nil
}

// object is a JSON object of which most is left as it is.
type object = map[string]json.RawMessage

// apply returns the request in data without what cannot be had. bundle says that the process is a part of it.
func (l limits) apply(data []byte, bundle bool) ([]byte, error) {
	var all object
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, err
	}
	if !bundle {
		if err := l.process(all); err != nil {
			return nil, err
		}
		return json.Marshal(all)
	}
	var process object
	if err := json.Unmarshal(all["process"], &process); err != nil || process == nil {
		return nil, errors.Join(errors.New("it has no process"), err)
	}
	if err := l.process(process); err != nil {
		return nil, err
	}
	changed, err := json.Marshal(process)
	if err != nil {
		return nil, err
	}
	all["process"] = changed
	return json.Marshal(all)
}

// process changes the description of a process.
func (l limits) process(p object) error {
	if raw, asks := p["capabilities"]; asks {
		var sets map[string][]string
		if err := json.Unmarshal(raw, &sets); err != nil {
			return err
		}
		for name, set := range sets {
			sets[name] = slices.DeleteFunc(set, func(c string) bool { return slices.Contains(l.lacks, c) })
		}
		changed, err := json.Marshal(sets)
		if err != nil {
			return err
		}
		p["capabilities"] = changed
	}
	raw, asks := p["oomScoreAdj"]
	if !asks || l.score == nil {
		return nil
	}
	var score int
	if err := json.Unmarshal(raw, &score); err != nil {
		return err
	}
	changed, err := json.Marshal(max(score, *l.score))
	if err != nil {
		return err
	}
	p["oomScoreAdj"] = changed
	return nil
}
