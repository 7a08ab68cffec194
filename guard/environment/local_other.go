//go:build !linux

package environment

func local(string, int64) Local {
	return Local{Why: "which process listens there can be told on Linux only"}
}
