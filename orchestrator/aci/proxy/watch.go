package proxy

import (
	"bytes"
	"encoding/json"
	"io"
)

// watchFilter filters a stream of watch events as it is read. It is a Reader rather than a goroutine, so that it lives and
// ends with the response.
type watchFilter struct {
	view view
	body io.ReadCloser
	dec  *json.Decoder
	out  bytes.Buffer
	// columns are the column definitions of a table watch, which only its first event carries: kept until an event passes.
	columns any
}

func newWatchFilter(v view, body io.ReadCloser) *watchFilter {
	dec := json.NewDecoder(body)
	dec.UseNumber()
	return &watchFilter{view: v, body: body, dec: dec}
}

type watchEvent struct {
	Type   string         `json:"type"`
	Object map[string]any `json:"object"`
}

func (w *watchFilter) Read(p []byte) (int, error) {
	for w.out.Len() == 0 {
		var ev watchEvent
		if err := w.dec.Decode(&ev); err != nil {
			return 0, err
		}
		if !w.pass(&ev) {
			continue
		}
		if err := json.NewEncoder(&w.out).Encode(ev); err != nil {
			return 0, err
		}
	}
	return w.out.Read(p)
}

func (w *watchFilter) pass(ev *watchEvent) bool {
	if ev.Type == "BOOKMARK" || ev.Type == "ERROR" {
		return true
	}
	isTable := text(ev.Object, "kind") == "Table"
	if isTable {
		if columns, ok := ev.Object["columnDefinitions"].([]any); ok && len(columns) > 0 {
			w.columns = columns
		}
	}
	if !w.view.object(ev.Object) {
		return false
	}
	if isTable {
		if rows, _ := ev.Object["rows"].([]any); len(rows) == 0 {
			return false
		}
		if w.columns != nil {
			ev.Object["columnDefinitions"], w.columns = w.columns, nil
		}
	}
	if w.view.partial {
		ev.Object = partial(ev.Object)
	}
	return true
}

func (w *watchFilter) Close() error { return w.body.Close() }
