// Package argocd runs config/argocd/health.lua as Argo CD does: in gopher-lua, with the object as the global obj.
package argocd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	lua "github.com/yuin/gopher-lua"
	"sigs.k8s.io/yaml"
)

const config = "../../config/argocd/"

// The layout of health_test.yaml and testdata/ is that of Argo CD's own resource customizations.
type table struct {
	Tests []struct {
		HealthStatus struct {
			Status  string `json:"status"`
			Message string `json:"message"`
		} `json:"healthStatus"`
		InputPath string `json:"inputPath"`
	} `json:"tests"`
}

func TestHealth(t *testing.T) {
	script := read(t, config+"health.lua")
	var cases table
	decode(t, read(t, "health_test.yaml"), &cases)

	tested := map[string]bool{}
	for _, want := range cases.Tests {
		tested[want.InputPath] = true
		t.Run(strings.TrimSuffix(filepath.Base(want.InputPath), ".yaml"), func(t *testing.T) {
			var object map[string]any
			decode(t, read(t, want.InputPath), &object)
			status, message := health(t, script, object)
			if status != want.HealthStatus.Status || message != want.HealthStatus.Message {
				t.Errorf("got %s %q, want %s %q", status, message, want.HealthStatus.Status, want.HealthStatus.Message)
			}
		})
	}

	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no testdata: %v", err)
	}
	for _, file := range files {
		if !tested[file] {
			t.Errorf("%s is in no test", file)
		}
	}
}

func TestConfigMapHoldsTheScript(t *testing.T) {
	var patch struct {
		Data map[string]string `json:"data"`
	}
	decode(t, read(t, config+"argocd-cm.yaml"), &patch)
	got := patch.Data["resource.customizations.health.portalplatform.dev_PortalPlatform"]
	if got != read(t, config+"health.lua") {
		t.Error("argocd-cm.yaml and health.lua differ")
	}
}

func TestApplicationsAreOrdered(t *testing.T) {
	for file, want := range map[string]struct {
		wave    string
		options []string
	}{
		"operator.yaml": {"0", []string{"CreateNamespace=true", "ServerSideApply=true"}},
		"portals.yaml":  {"1", []string{"SkipDryRunOnMissingResource=true"}},
	} {
		var app struct {
			Metadata struct {
				Annotations map[string]string `json:"annotations"`
			} `json:"metadata"`
			Spec struct {
				SyncPolicy struct {
					SyncOptions []string `json:"syncOptions"`
				} `json:"syncPolicy"`
			} `json:"spec"`
		}
		decode(t, read(t, config+file), &app)
		if got := app.Metadata.Annotations["argocd.argoproj.io/sync-wave"]; got != want.wave {
			t.Errorf("%s: sync wave %q, want %q", file, got, want.wave)
		}
		options := strings.Join(app.Spec.SyncPolicy.SyncOptions, " ")
		for _, option := range want.options {
			if !strings.Contains(options, option) {
				t.Errorf("%s: no sync option %s", file, option)
			}
		}
	}
}

// health runs the script with few libraries: Argo CD does not open them all.
func health(t *testing.T, script string, object map[string]any) (status, message string) {
	t.Helper()
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for _, library := range []struct {
		name string
		open lua.LGFunction
	}{{lua.LoadLibName, lua.OpenPackage}, {lua.BaseLibName, lua.OpenBase}, {lua.TabLibName, lua.OpenTable}} {
		state.Push(state.NewFunction(library.open))
		state.Push(lua.LString(library.name))
		state.Call(1, 0)
	}
	state.SetGlobal("obj", value(state, object))
	if err := state.DoString(script); err != nil {
		t.Fatal(err)
	}
	result, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		t.Fatalf("the script returned %s, not a table", state.Get(-1).Type())
	}
	return result.RawGetString("status").String(), result.RawGetString("message").String()
}

// value turns decoded JSON into Lua.
func value(state *lua.LState, from any) lua.LValue {
	switch from := from.(type) {
	case map[string]any:
		to := state.NewTable()
		for key, item := range from {
			to.RawSetString(key, value(state, item))
		}
		return to
	case []any:
		to := state.NewTable()
		for _, item := range from {
			to.Append(value(state, item))
		}
		return to
	case string:
		return lua.LString(from)
	case float64:
		return lua.LNumber(from)
	case bool:
		return lua.LBool(from)
	default:
		return lua.LNil
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func decode(t *testing.T, text string, into any) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(text), into); err != nil {
		t.Fatal(err)
	}
}
