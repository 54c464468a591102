from agent_mem.cli.entry import main

main()
