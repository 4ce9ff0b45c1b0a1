package sandbox

import (
	"crypto/sha256"
	"embed"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
)

//go:embed boot/*.py
var bootFiles embed.FS

// bootModules are the modules of the bootstrap in the order in which they
// need one another.
var bootModules = []string{"kernel", "landlock", "root", "confine", "share", "keeper", "zygote"}

// controlFD is where a process has its socket.
const controlFD = 3

// stub is what the interpreter is started with: it executes a source that
// comes over the control socket. There is no file and no limit to its size.
const stub = `import sys
if sys.path[:1] == [""]:
    del sys.path[0]
import os
def read(n):
    data = b""
    while len(data) < n:
        part = os.read(3, n - len(data))
        if not part:
            os._exit(0)
        data += part
    return data
exec(compile(read(int.from_bytes(read(4), "little")), "<_sandbox_load>", "exec"))
`

// bootConfig is what the bootstrap of a zygote is told.
type bootConfig struct {
	Level        Level             `json:"level"`
	Numbers      map[string]uint32 `json:"numbers"` // of system calls
	Root         rootPlan          `json:"root"`
	Path         []string          `json:"path"`
	Prefix       string            `json:"prefix"`
	Worker       [][2]string       `json:"worker"`
	Entry        string            `json:"entry"`
	Preload      []string          `json:"preload"`
	Filter       filter            `json:"filter"`
	Readable     []string          `json:"readable"`
	Required     []string          `json:"required"` // must be readable by the session's user
	Programs     bool              `json:"programs"`
	Forks        bool              `json:"forks"`        // the filter asks this program about them
	Remembered   bool              `json:"remembered"`   // the kernel tells how a process ended that was reaped
	Capabilities uint64            `json:"capabilities"` // that this program has
	Remove       string            `json:"remove"`       // folder to remove when the host is gone
	Cgroups      []cgroupHandle    `json:"cgroups"`
}

// cgroupHandle is a group to be removed when the host is gone: the descriptor
// of the folder it is in, and its name there.
type cgroupHandle struct {
	Folder int    `json:"folder"`
	Name   string `json:"name"`
}

// bootCalls are the system calls that the bootstrap makes by number.
var bootCalls = []string{
	"pivot_root", "open_tree", "move_mount", "mount_setattr", "pidfd_open", "close_range", "capset", "seccomp",
	"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self",
}

// bootPayload is what is written to the control socket of a new zygote: the
// loader, then modules and config. Their compiled code is kept in codeDir,
// when there is one.
func bootPayload(cfg bootConfig, py Python, codeDir string) ([]byte, error) {
	loader, err := bootFiles.ReadFile("boot/load.py")
	if err != nil {
		return nil, err
	}
	modules := make([][2]string, 0, len(bootModules))
	for _, name := range bootModules {
		src, err := bootFiles.ReadFile("boot/" + name + ".py")
		if err != nil {
			return nil, err
		}
		modules = append(modules, [2]string{"_sandbox_" + name, string(src)})
	}
	cache := ""
	if codeDir != "" {
		sum := sha256.New()
		fmt.Fprintf(sum, "%q %q %q %q", modules, cfg.Worker, py.Exe, py.Version)
		cache = filepath.Join(codeDir, hex.EncodeToString(sum.Sum(nil)[:16])+".code")
	}
	body, err := json.Marshal(map[string]any{"boot": modules, "config": cfg, "cache": cache})
	if err != nil {
		return nil, fmt.Errorf("sandbox: encoding the bootstrap: %w", err)
	}
	return append(lengthPrefixed(loader), lengthPrefixed(body)...), nil
}

func lengthPrefixed(b []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(b))), b...)
}
