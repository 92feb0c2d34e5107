// What the page says, as a person reads it: the labels that the tests go by.
export const WORDS = {
  en: {
    password: "Password", logIn: "Log in", wrong: "That is not the password.", keys: "Keys", chat: "Chat", settings: "Settings", log: "Log",
    overview: "Overview", addKeys: "Add keys", paste: /^Paste keys here/, addCount: /^Add [\d,]+ keys?$/, showKeys: "Show the keys",
    search: /^Search key/, dead: "dead", disabled: "disabled", disable: "Disable", enable: "Enable", message: /^Message/, send: "Send",
    asCode: "As code", logOut: "Log out", undo: "Undo", undoQuestion: "Take back the import of 5,000 keys?", deletedAll: "5,000 keys deleted.", export: "Export", clearSelection: "Clear selection", other: "中文", searchSettings: "Search settings", test: "Send a test request", steps: ["Model chosen", "Connected", "Request sent", "First byte", "First token", "End"],
    works: /^It works/, errors: "3 errors", added: /keys added$/, dup: "1 duplicate", noKeysYet: "No keys yet",
    schemeFault: "URL does not begin with http:// or https://", addTwo: "Add 2 keys", addedTwo: "2 keys added", checkNow: "Check them now", oneDead: /^1\s*dead$/,
    whyDead: /refused/, isDead: "Dead: the upstream refused it.", testFails: "It does not work.", whyTestFails: "the upstream refused our credentials",
    model: "Model", again: "Once more", copy: "Copy", copied: "Copied", attempts: "Attempts",
  },
  zh: {
    password: "密码", logIn: "登录", wrong: "密码不对。", keys: "密钥", chat: "对话", settings: "设置", log: "日志", overview: "概览",
    addKeys: "添加密钥", paste: /^在此粘贴/, addCount: /^添加 [\d,]+ 个密钥$/, showKeys: "查看密钥", search: /^搜索密钥/, dead: "失效",
    disabled: "停用", disable: "停用", enable: "启用", message: /^消息/, send: "发送", asCode: "代码", logOut: "退出", undo: "撤销", undoQuestion: "撤销导入的 5,000 个密钥？", deletedAll: "已删除 5,000 个密钥。", export: "导出", clearSelection: "取消选择",
    other: "English", searchSettings: "搜索设置", test: "发送测试请求", steps: ["选择模型", "已连接", "已发送请求", "首个字节", "首个 Token", "结束"], works: /^正常/, errors: "错误 3", added: /^已添加/, dup: "重复 1", noKeysYet: "还没有密钥",
    schemeFault: "网址须以 http:// 或 https:// 开头", addTwo: "添加 2 个密钥", addedTwo: "已添加 2 个密钥", checkNow: "立即检查", oneDead: /^1\s*失效$/,
    whyDead: /被拒绝/, isDead: "失效：上游拒绝了它。", testFails: "无法使用。", whyTestFails: "上游拒绝了我们的密钥",
    model: "模型", again: "重新回答", copy: "复制", copied: "已复制", attempts: "尝试",
  },
};
