package render_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/cmd/internal/render"
	"github.com/gameday-bench/gameday/internal/errs"
)

type item struct {
	ID   string   `json:"id"`
	Size float64  `json:"size"`
	Tags []string `json:"tags"`
	Note string   `json:"note"`
}

func list() render.List {
	return render.List{
		Columns: []render.Column{{Name: "id"}, {Name: "size"}, {Name: "note", Wide: true}},
		Rows:    [][]string{{"a", "1", "x\ty"}, {"long-name", "22", "evil\x1b[2Jline\nbreak"}},
		Items:   []item{{"a", 1, nil, "true"}, {"long-name", 22.5, []string{"<b>", "1"}, "line\nbreak"}},
	}
}

func TestFormats(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		o    render.Options
		want string
	}{
		"table on a terminal": {render.Options{Format: "table", Terminal: true, Width: 80}, "ID          SIZE\na           1\nlong-name   22\n"},
		"cut":                 {render.Options{Format: "table", Terminal: true, Width: 10}, "ID       …\na        …\nlong-name…\n"},
		"piped":               {render.Options{Format: "table"}, "ID\tSIZE\na\t1\nlong-name\t22\n"},
		"no headers":          {render.Options{Format: "table", NoHeaders: true}, "a\t1\nlong-name\t22\n"},
		"wide":                {render.Options{Format: "wide"}, "ID\tSIZE\tNOTE\na\t1\tx y\nlong-name\t22\tevil?[2Jline break\n"},
		"name":                {render.Options{Format: "name"}, "a\nlong-name\n"},
		"jsonl": {render.Options{Format: "jsonl"}, `{"id":"a","size":1,"tags":null,"note":"true"}
{"id":"long-name","size":22.5,"tags":["\u003cb\u003e","1"],"note":"line\nbreak"}
`},
		"yaml": {render.Options{Format: "yaml"}, `schemaVersion: 1
items:
  - id: a
    size: 1
    tags: null
    note: "true"
  - id: long-name
    size: 22.5
    tags:
      - <b>
      - "1"
    note: |-
      line
      break
`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			require.NoError(t, list().Print(&out, tc.o))
			require.Equal(t, tc.want, out.String())
		})
	}
	var out bytes.Buffer
	require.NoError(t, list().Print(&out, render.Options{Format: "json"}))
	require.JSONEq(t, `{"schemaVersion":1,"items":[{"id":"a","size":1,"tags":null,"note":"true"},
		{"id":"long-name","size":22.5,"tags":["<b>","1"],"note":"line\nbreak"}]}`, out.String())
	require.Contains(t, out.String(), `"<b>"`)
}

func TestEmpty(t *testing.T) {
	t.Parallel()
	empty := render.List{Columns: []render.Column{{Name: "id"}}, Items: []item(nil)}
	for format, want := range map[string]string{
		"table": "", "wide": "", "name": "", "jsonl": "", "json": "{\n  \"schemaVersion\": 1,\n  \"items\": []\n}\n",
		"yaml": "schemaVersion: 1\nitems: []\n",
	} {
		var out bytes.Buffer
		require.NoError(t, empty.Print(&out, render.Options{Format: format}))
		require.Equal(t, want, out.String(), format)
	}
}

func TestCheckFormat(t *testing.T) {
	t.Parallel()
	require.NoError(t, render.CheckFormat("yaml", render.ListFormats()))
	err := render.CheckFormat("jsn", render.ListFormats())
	require.EqualError(t, err, `unknown output format "jsn"`)
	require.Equal(t, errs.Usage, errs.PartyOf(err))
	require.Equal(t, `did you mean "json"? allowed formats are: table, wide, name, json, yaml, jsonl`, errs.HintOf(err))
}

func TestFields(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, render.Fields{
		{Name: "ID", Value: "a"}, {Name: "Empty"}, {Name: "Difficulty", Value: "easy\x07"}, {Name: "Tasks", Lines: []string{"one", "two "}},
	}.Print(&out))
	require.Equal(t, "ID:          a\nDifficulty:  easy?\nTasks:\n  one\n  two\n", out.String())
}
