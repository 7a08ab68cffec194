package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"respect/guard/environment"
	"respect/guard/policy"
)

const aboutPolicy = `The policy says what each environment asks for each class of work, and which deployments are which environment. It is built in; /etc/respect/policy.yaml, the administrator's, may change it, and policy.yaml in $XDG_CONFIG_HOME/respect (~/.config/respect) can only tighten it. No rule takes a production marker away that a server carries.`

// policyFormat is an example of all that a policy file may say; TestPolicyFormat reads it as one.
const policyFormat = `environments:              # all keys of a match must fit, one of each; globs
  - environment: production     # or staging, development
    match: {hosts: ["*.prod.example.net"], cidr: [10.1.0.0/16], srv: ["*.net"],
      sets: [rs-prod], databases: [famigo], profiles: [prod-*]}
policy:
  production:        # and what is unknown; likewise staging, development
    reads: {max-time: 30s}
    documents:       # an action: refuse, approve, confirm, backup, run; or more
      action: confirm
      large: {documents: 1000, action: refuse}
      max-operations: 5000      # of one statement
      full-preview: 100000   # documents; beyond it an estimate, until asked for
      pace: {batch: 100ms, busy: 50, max-lag: 5s, stop-lag: 1m}
      volatile-backup: refuse   # where a reboot or a container's end takes it
    schema: {large: {documents: 100, bytes: 1MiB}, keep-dropped: 50GiB}
    security: {lower-marker: confirm}  # the administrator's file alone
    operations: confirm         # and cluster, server, unknown: an action each
record:
  output: full       # of what is shown; or writes, digest, off
  limit: 1MiB        # of what one statement shows
  witness: /mnt/audit/notes     # where seals of records are written besides
# What is above large asks for its action; without one for approve, which is a
# second person. Larger collections are not copied, but kept under another name.
`

func (a *app) policyCommand() *cobra.Command {
	c := &cobra.Command{Use: "policy", Short: "what is asked where, and which file says so", Long: aboutPolicy, Args: noArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return cmd.Help()
	}}
	c.AddCommand(&cobra.Command{
		Use: "format", Short: "the format of policy files, by an example that has all of it", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprint(a.out, policyFormat)
			return err
		},
	})
	var admin bool
	check := &cobra.Command{
		Use: "check [FILE]", Short: "check the policy files, and say what is in force", Args: cobra.ArbitraryArgs,
		Long: "check reads the policy files and prints what is in force, each with the place that says it. With FILE it checks that one\nin place of your own, or, with --admin, in place of the administrator's.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 || admin && len(args) == 0 {
				return &usage{text: "one file is wanted", hint: cmd.UseLine()}
			}
			return a.policyCheck(args, admin)
		},
	}
	check.Flags().BoolVar(&admin, "admin", false, "check FILE as the administrator's")
	c.AddCommand(check, &cobra.Command{
		Use: "show", Short: "print what is in force in the form of a policy file", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			p, err := a.policy()
			if err != nil {
				return err
			}
			fmt.Fprint(a.out, safe(p.Format()))
			return nil
		},
	})
	return c
}

// policyFile is one file that a policy was read from, or not.
type policyFile struct {
	Path  string `json:"path"`
	Whose string `json:"whose"`
	Found bool   `json:"found"`
}

func (a *app) policyCheck(args []string, admin bool) error {
	f, err := a.checked(args, admin)
	if err != nil {
		return err
	}
	p, err := policy.Combine(f.admin, f.user)
	if err != nil {
		return invalid(err)
	}
	read := []policyFile{{f.adminPath, "administrator", f.admin != nil}, {f.userPath, "user", f.user != nil}}
	if a.flags.json != "" {
		return status(a.printJSON(policyJSON(p, read)))
	}
	for _, r := range read {
		found := "read"
		if !r.Found {
			found = "not there"
		}
		a.say("%-13s  %s: %s\n", r.Whose, safe(r.Path), found)
	}
	for _, r := range p.Rules() {
		a.say("%-11s  %s  %s\n", r.Says, safe(matches(r)), safe(r.Where))
	}
	for _, s := range append(p.Settings(), p.Record().Settings()...) {
		a.say("%-11s  %-10s  %-16s %-8s  %s\n", s.Environment, s.Class, s.Setting, s.Value, safe(s.From))
	}
	return nil
}

// checked are the files in force, one of them replaced by the one that is to be checked.
func (a *app) checked(args []string, admin bool) (files, error) {
	if len(args) == 0 {
		return a.policyFiles()
	}
	text, err := os.ReadFile(args[0])
	if err != nil {
		return files{}, invalid(err)
	}
	one, err := policy.Parse(args[0], text)
	if err != nil {
		return files{}, invalid(err)
	}
	f := files{}
	if admin {
		f.admin, f.adminPath = one, args[0]
		f.user, f.userPath, err = userPolicy()
	} else {
		f.user, f.userPath = one, args[0]
		f.admin, f.adminPath, err = a.admin.policy()
	}
	return f, err
}

// matches is what a rule matches, in a line.
func matches(r environment.Rule) string {
	var out []string
	for _, l := range r.Lists() {
		out = append(out, l.Key+" "+strings.Join(l.Patterns, ", "))
	}
	text := strings.Join(out, "; ")
	if r.RaiseOnly {
		text += " (can only raise)"
	}
	return text
}

func policyJSON(p *policy.Policy, read []policyFile) any {
	type rule struct {
		Environment string              `json:"environment"`
		Match       map[string][]string `json:"match"`
		RaiseOnly   bool                `json:"raiseOnly"`
		From        string              `json:"from"`
	}
	rules := []rule{}
	for _, r := range p.Rules() {
		m := map[string][]string{}
		for _, l := range r.Lists() {
			m[l.Key] = l.Patterns
		}
		rules = append(rules, rule{r.Says.String(), m, r.RaiseOnly, r.Where})
	}
	return struct {
		Files  []policyFile     `json:"files"`
		Rules  []rule           `json:"environments"`
		Policy []policy.Setting `json:"policy"`
		Record []policy.Setting `json:"record"`
	}{read, rules, p.Settings(), p.Record().Settings()}
}
