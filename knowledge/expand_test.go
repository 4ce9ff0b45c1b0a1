package knowledge_test

import (
	"testing"
	"testing/fstest"

	"github.com/strandsgo/strands/knowledge"
)

// TestOtherWords: what is asked in other words than those of the text is
// found, after what has the words themselves.
func TestOtherWords(t *testing.T) {
	fsys := fstest.MapFS{}
	for id, text := range map[string]string{
		"unlink": "Removes files.", "colours": "The palette of colours.", "frame": "A data.frame has columns.",
		"timer": "Time of a computation.", "logscale": "With logscale the axis grows by powers.",
		"endless": "Runs forever.", "other": "Nothing of all that.",
	} {
		fsys[id+".md"] = concept("type: T\ntitle: "+id, text)
	}
	b := open(t, fsys, knowledge.Options{})
	for query, want := range map[string]string{
		"delete a file":         "unlink",   // a synonym
		"which color":           "colours",  // the other spelling
		"data frame":            "frame",    // two words as one name
		"how long does it take": "timer",    // what a question word stands for
		"log scale":             "logscale", // two words as one
		"indefinitely":          "endless",  // a word near in meaning
	} {
		f, err := b.Find(t.Context(), query, knowledge.FindOptions{})
		if err != nil || len(f.Results) == 0 || f.Results[0].ID != want {
			t.Errorf("%q found %s, %v; want %s", query, ids(f), err, want)
		}
	}
	fsys["remover.md"] = concept("type: T\ntitle: remover", "Deletes files.")
	if f, _ := open(t, fsys, knowledge.Options{}).Find(t.Context(), "delete a file", knowledge.FindOptions{}); ids(f) != "remover unlink" {
		t.Errorf("found %s; the word itself counts more than one like it", ids(f))
	}
}

// TestWithoutSpaces: in languages that do not part their words with spaces a
// word is found within a sentence, however long.
func TestWithoutSpaces(t *testing.T) {
	fsys := fstest.MapFS{}
	for id, text := range map[string]string{
		"ja": "このソフトウェアのインストール方法は、日本語のマニュアルに詳しく書かれていますのでご覧ください。", "zh": "数据库连接失败时请检查Postgres服务器的网络设置", "th": "การติดตั้งโปรแกรมบนเซิร์ฟเวอร์", "en": "How to install it.",
	} {
		fsys[id+".md"] = concept("type: T\ntitle: "+id, text)
	}
	b := open(t, fsys, knowledge.Options{})
	for query, want := range map[string]string{"インストール": "ja", "日本語": "ja", "网络设置": "zh", "postgres": "zh", "连接 postgres": "zh", "โปรแกรม": "th", "install": "en"} {
		f, err := b.Find(t.Context(), query, knowledge.FindOptions{})
		if err != nil || len(f.Results) == 0 || f.Results[0].ID != want {
			t.Errorf("%q found %s, %v; want %s", query, ids(f), err, want)
		}
	}
}
