package js

// missing are names that people know and that are not here. Each says so, and what to use instead.
type missing struct {
	object string // on which; "": global
	names  string
	from   origin
	use    string
}

// origin is where people know a name from.
type origin int

const (
	mongosh origin = iota
	oldShell
	word // of the shell: it is there, and no function
)

func (m missing) refusal(name string) *Refusal {
	switch m.from {
	case oldShell:
		return &Refusal{Text: name + " was in the old shell, and is neither in mongosh nor in respect", Hint: m.use}
	case word:
		return &Refusal{Text: name + " is a word of the shell, not a function", Hint: m.use}
	}
	return &Refusal{Text: name + " is in mongosh and not in respect yet", Hint: m.use}
}

const (
	noEncryption = "respect has no client-side encryption: use mongosh"
	oneServer    = "all commands go to one server, one after the other: each read sees what was written before"
)

var absent = []missing{
	{"Collection", "copyTo", oldShell, "use aggregate([{$out: 'name'}])"},
	{"Collection", "getShardLocation", mongosh, "use getShardDistribution()"},
	{"Collection", "group", oldShell, "use aggregate([{$group: {…}}])"},
	{"Collection", "save", oldShell, "use insertOne(), or replaceOne() with {upsert: true}"},

	{"Database", "auth logout", mongosh, "connect as the other user: respect URI"},
	{"Database", "cloneCollection cloneDatabase copyDatabase", oldShell, "use mongodump and mongorestore"},
	{"Database", "commandHelp", mongosh, "use db.listCommands(), or the command's page in the manual"},
	{"Database", "createEncryptedCollection", mongosh, noEncryption},
	{"Database", "disableFreeMonitoring enableFreeMonitoring getFreeMonitoringStatus", oldShell, "MongoDB has ended free monitoring"},
	{"Database", "eval", oldShell, "scripts run in the shell: write it here"},
	{"Database", "getLastError getLastErrorObj getPrevError", mongosh, "the result of each write says what it has done"},
	{"Database", "printSlaveReplicationInfo", mongosh, "use printSecondaryReplicationInfo()"},

	{"Cursor", "maxScan", oldShell, "use maxTimeMS()"},

	{"Mongo", "connect", mongosh, "use Mongo(uri), or respect URI"},
	{"Mongo", "getClientEncryption getKeyVault", mongosh, noEncryption},
	{"Mongo", "isCausalConsistency setCausalConsistency", mongosh, oneServer},
	{"Mongo", "setReadConcern", mongosh, "use readConcern() of a cursor, or the option readConcern of a method"},
	{"Mongo", "setWriteConcern", mongosh, "use the option writeConcern of a method; on guarded deployments writes wait for the majority"},

	{"PlanCache", "getPlansByQuery listQueryShapes", oldShell, "use list()"},

	{"rs", "printSlaveReplicationInfo", mongosh, "use printSecondaryReplicationInfo()"},
	{"rs", "reconfigForPSASet", mongosh, "use reconfig() twice: with {votes: 1, priority: 0} for the new member first"},

	{"Session", "abortTransaction commitTransaction startTransaction", mongosh, "a transaction does not live as long as a person's answer: without one, all writes of a statement are one plan"},
	{"Session", "advanceClusterTime advanceOperationTime getClusterTime getOperationTime", mongosh, oneServer},
	{"Session", "bulkWrite", mongosh, "use bulkWrite() of a collection, or of getMongo()"},

	{"", "child_process fs process require", mongosh, "scripts reach MongoDB and nothing else; load() runs a file of JavaScript"},
	{"", "clearInterval clearTimeout queueMicrotask setImmediate setInterval setTimeout", mongosh, "nothing runs after its statement: use sleep() in a loop"},
	{"", "cls exit help it quit show", word, "type it as a line of its own, without brackets"},
	{"", "copyFile fuzzFile getHostName hostname listFiles ls md5sumFile mkdir pwd removeFile writeFile cat cd", oldShell, "scripts reach no files but by load(); db.hostInfo() names the server's host"},
	{"", "disableTelemetry enableTelemetry", mongosh, "respect sends nothing to anybody"},
	{"", "edit", mongosh, "write a file in your editor, and load() it"},
	{"", "history", mongosh, "respect replay show prints what was typed before; the up key and Ctrl-R find it here"},
	{"", "Intl", mongosh, "toLocaleString() knows some locales; for dates use toISOString(), or $dateToString with a timezone"},
	{"", "hex_md5", oldShell, "use MD5() for binary data"},
	{"", "assert isString Random", oldShell, "write it in JavaScript"},
	{"", "loadCallNestingLevel", mongosh, "load() refuses files that load each other without end"},
	{"", "log", mongosh, "use print(): the session is recorded, with what is printed"},
	{"", "passwordPrompt", mongosh, "leave the password out of the connection string: respect asks for it"},
	{"", "printjsononeline tojsonObject", oldShell, "use printjson(), or print(JSON.stringify(x))"},
	{"", "snippet", mongosh, "load() runs a file of JavaScript"},
	{"", "sp", mongosh, "respect has no stream processing: use mongosh"},
}
