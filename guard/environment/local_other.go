//go:build !linux

package environment

func local(Observation) Local {
	return Local{Why: "which process listens there can be told on Linux only"}
}
