package catalog_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/internal/catalog"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/yamlx"
)

// fruit is what the tests' catalogues hold.
type fruit struct {
	ID     string `yaml:"id" check:"required"`
	Colour string `yaml:"colour"`
}

func kind(layout catalog.Layout) catalog.Kind[fruit] {
	return catalog.Kind[fruit]{
		Name: "fruit", Layout: layout, ID: func(f fruit) string { return f.ID },
		Read: func(item catalog.Item) (fruit, error) {
			var f fruit
			data, err := item.Data()
			if err != nil {
				return f, err
			}
			return f, yamlx.Decode(item.Path, data, &f)
		},
	}
}

func directories() catalog.Kind[fruit] { return kind(catalog.Layout{File: "fruit.yaml"}) }

func tree(files map[string]string) fstest.MapFS {
	out := fstest.MapFS{}
	for name, text := range files {
		out[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return out
}

func TestLoad(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		layout catalog.Layout
		first  map[string]string
		second map[string]string
		ids    []string
		want   string // The error; empty for none.
	}{
		{
			name: "directories", layout: catalog.Layout{File: "fruit.yaml"},
			first:  map[string]string{"pear/fruit.yaml": "id: pear", "pear/README.md": "x", "notes/README.md": "x", "fruit.yaml": "id: none"},
			second: map[string]string{"apple/fruit.yaml": "id: apple"},
			ids:    []string{"apple", "pear"},
		},
		{
			name: "files", layout: catalog.Layout{Ext: ".yaml"},
			first: map[string]string{"pear.yaml": "id: pear", "README.md": "x", "old.yaml/pear.yaml": "id: no"},
			ids:   []string{"pear"},
		},
		{
			name: "everything that is wrong", layout: catalog.Layout{File: "fruit.yaml"},
			first:  map[string]string{"a/fruit.yaml": "id: a\ncolor: red", "b/fruit.yaml": "id: b"},
			second: map[string]string{"c/fruit.yaml": "colour: red", "d/fruit.yaml": "id: d"},
			ids:    []string{"b", "d"},
			want: `one/a/fruit.yaml:2:1: color: unknown field; did you mean "colour"?` + "\n" +
				`two/c/fruit.yaml:1:1: id: required field is missing`,
		},
		{
			name: "an id twice", layout: catalog.Layout{File: "fruit.yaml"},
			first:  map[string]string{"a/fruit.yaml": "id: a\ncolour: first"},
			second: map[string]string{"x/fruit.yaml": "colour: second\nid: a"},
			ids:    []string{"a"},
			want:   `two/x/fruit.yaml:2:5: id: "a" exists already in one/a/fruit.yaml`,
		},
		{name: "empty", layout: catalog.Layout{File: "fruit.yaml"}, ids: []string{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			set, err := catalog.Load(kind(tc.layout),
				catalog.Source{FS: tree(tc.first), Prefix: "one"}, catalog.Source{FS: tree(tc.second), Prefix: "two"})
			require.Equal(t, tc.ids, set.IDs())
			require.Len(t, set.All(), len(tc.ids))
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, tc.want)
			require.Equal(t, errs.Usage, errs.PartyOf(err))
			var list yamlx.ErrorList
			require.ErrorAs(t, err, &list)
			require.Len(t, list, strings.Count(tc.want, "\n")+1, "problems are listed one by one")
		})
	}
}

func TestEarlierSourceWins(t *testing.T) {
	t.Parallel()
	set, err := catalog.Load(directories(),
		catalog.Source{FS: tree(map[string]string{"a/fruit.yaml": "id: a\ncolour: first"}), Prefix: "one"},
		catalog.Source{FS: tree(map[string]string{"a/fruit.yaml": "id: a\ncolour: second"}), Prefix: "two"})
	require.Error(t, err)
	require.Equal(t, []fruit{{"a", "first"}}, set.All())
}

func TestGet(t *testing.T) {
	t.Parallel()
	set, err := catalog.Load(directories(), catalog.Source{FS: tree(map[string]string{"apple/fruit.yaml": "id: apple"})})
	require.NoError(t, err)
	got, err := set.Get("apple")
	require.NoError(t, err)
	require.Equal(t, "apple", got.ID)
	_, err = set.Get("aple")
	require.EqualError(t, err, `unknown fruit "aple"`)
	require.Equal(t, errs.Usage, errs.PartyOf(err))
	require.Equal(t, `did you mean "apple"? known: apple`, errs.HintOf(err))
}

// A caller may change what it was given without changing the set.
func TestSetDoesNotChange(t *testing.T) {
	t.Parallel()
	set, err := catalog.Load(directories(), catalog.Source{FS: tree(map[string]string{"a/fruit.yaml": "id: a"})})
	require.NoError(t, err)
	set.All()[0].ID, set.IDs()[0] = "b", "b"
	require.Equal(t, []string{"a"}, set.IDs())
	require.Equal(t, "a", set.All()[0].ID)
}

func TestPack(t *testing.T) {
	t.Parallel()
	pack := t.TempDir()
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	for _, dir := range []string{elsewhere, filepath.Join(pack, "fruits", "kiwi")} {
		require.NoError(t, os.MkdirAll(dir, 0o755))
		text := []byte("id: " + filepath.Base(dir))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "fruit.yaml"), text, 0o600))
	}
	require.NoError(t, os.Symlink(elsewhere, filepath.Join(pack, "fruits", "linked")))
	require.NoError(t, os.Symlink("nowhere", filepath.Join(pack, "fruits", "dangling")))
	set, err := catalog.Load(directories(), catalog.Pack(pack, "fruits"), catalog.Pack(pack, "vegetables"))
	require.NoError(t, err, "a pack without a folder is a pack")
	require.Equal(t, []string{"elsewhere", "kiwi"}, set.IDs(), "a link to a directory is a directory")

	var item catalog.Item
	k := directories()
	read := k.Read
	k.Read = func(i catalog.Item) (fruit, error) {
		item = i
		return read(i)
	}
	require.NoError(t, os.Remove(filepath.Join(pack, "fruits", "linked")))
	_, err = catalog.Load(k, catalog.Pack(pack, "fruits"))
	require.NoError(t, err)
	require.Equal(t, "kiwi", item.ID)
	require.Equal(t, filepath.ToSlash(pack)+"/fruits/kiwi/fruit.yaml", item.Path)
	_, err = fs.Stat(item.Dir, "fruit.yaml")
	require.NoError(t, err)
}

// broken is a tree whose top cannot be read to its end.
type broken struct{ fstest.MapFS }

var errDisk = errors.New("disk is broken")

func (b broken) ReadDir(name string) ([]fs.DirEntry, error) {
	found, err := b.MapFS.ReadDir(name)
	return found, errors.Join(err, errDisk)
}

func TestUnreadable(t *testing.T) {
	t.Parallel()
	set, err := catalog.Load(directories(), catalog.Source{FS: broken{tree(map[string]string{"a/fruit.yaml": "id: a"})}, Prefix: "one"})
	require.EqualError(t, err, "one: read directory: disk is broken")
	require.Equal(t, []string{"a"}, set.IDs())
}

func TestZeroSetIsEmpty(t *testing.T) {
	t.Parallel()
	var set catalog.Set[fruit]
	require.Empty(t, set.All())
	_, err := set.Get("a")
	require.Error(t, err)
}

func TestValidID(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"a", "a-1", strings.Repeat("x", 63)} {
		require.True(t, catalog.ValidID(id), id)
	}
	for _, id := range []string{"", "A", "a_b", "-a", "a-", "a--b", "ä", strings.Repeat("x", 64)} {
		require.False(t, catalog.ValidID(id), id)
	}
}

func TestDigest(t *testing.T) {
	t.Parallel()
	digest := func(keep func(string) bool, files map[string]string) string {
		d, err := catalog.Digest(tree(files), keep)
		require.NoError(t, err)
		require.Regexp(t, `^sha256:[0-9a-f]{64}$`, d)
		return d
	}
	base := map[string]string{"a.yaml": "x", "sub/b.md": "y"}
	require.Equal(t, digest(nil, base), digest(nil, map[string]string{"sub/b.md": "y", "a.yaml": "x"}))
	require.NotEqual(t, digest(nil, base), digest(nil, map[string]string{"a.yaml": "x", "sub/b.md": "z"}))
	require.NotEqual(t, digest(nil, map[string]string{"a": "xb", "b": ""}), digest(nil, map[string]string{"a": "x", "b": "b"}))
	yaml := func(name string) bool { return strings.HasSuffix(name, ".yaml") }
	require.Equal(t, digest(yaml, base), digest(yaml, map[string]string{"a.yaml": "x", "sub/b.md": "z"}))
}
